//! Imitating a slower network: every directed link delays and paces its frames.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

use crate::plan::cost::time::Network;

/// A network's round-trip time and the rate of each directed link.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    /// There and back.
    pub rtt: Duration,
    /// Of one direction of one link.
    pub bits_per_second: f64,
}

impl Shape {
    /// One building: 0.2 ms, 10 Gb/s.
    pub const LAN: Shape = Shape { rtt: Duration::from_micros(200), bits_per_second: 10e9 };
    /// One room: 0.05 ms, 100 Gb/s.
    pub const DATACENTRE: Shape = Shape { rtt: Duration::from_micros(50), bits_per_second: 100e9 };
    /// One continent: 40 ms, 100 Mb/s.
    pub const WAN: Shape = Shape { rtt: Duration::from_millis(40), bits_per_second: 100e6 };

    /// How long the link is busy with that many bytes.
    #[must_use]
    pub fn transfer(&self, bytes: usize) -> Duration {
        Duration::from_secs_f64(bytes as f64 * 8.0 / self.bits_per_second)
    }
}

/// Text that describes no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no network; write `datacentre`, `lan`, `wan`, or a round-trip time and a rate such as `40ms,100Mb`")]
pub struct ShapeError(String);

impl From<Shape> for Network {
    fn from(shape: Shape) -> Network {
        Network { rtt: shape.rtt.as_secs_f64(), bits_per_second: shape.bits_per_second }
    }
}

impl fmt::Display for Shape {
    /// In the form that [`Shape::from_str`] reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}us,{}kb", self.rtt.as_secs_f64() * 1e6, self.bits_per_second / 1e3)
    }
}

impl FromStr for Shape {
    type Err = ShapeError;

    /// `datacentre`, `lan`, `wan`, or `RTT,RATE` with RTT in `us`, `ms`, `s` and RATE in `kb`, `Mb`, `Gb` (bits a second).
    fn from_str(text: &str) -> Result<Shape, ShapeError> {
        let parse = || {
            let (rtt, rate) = text.split_once(',')?;
            let rtt = quantity(rtt, &[("us", 1e-6), ("ms", 1e-3), ("s", 1.0)])?;
            let rate = quantity(rate, &[("kb", 1e3), ("Mb", 1e6), ("Gb", 1e9)])?;
            let rtt = Duration::try_from_secs_f64(rtt).ok()?;
            (rate > 0.0).then_some(Shape { rtt, bits_per_second: rate })
        };
        match text {
            "datacentre" => Ok(Shape::DATACENTRE),
            "lan" => Ok(Shape::LAN),
            "wan" => Ok(Shape::WAN),
            _ => parse().ok_or_else(|| ShapeError(text.to_owned())),
        }
    }
}

/// A finite number with one of the units, in the base unit.
fn quantity(text: &str, units: &[(&str, f64)]) -> Option<f64> {
    let text = text.trim();
    let (number, factor) = units.iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)))?;
    let number: f64 = number.trim_end().parse().ok()?;
    Some(number * factor).filter(|n| n.is_finite())
}

/// One directed link: the next frame waits until the one before has left.
#[derive(Clone, Copy, Debug)]
pub struct Pacer {
    shape: Shape,
    free: Option<Instant>,
}

impl Pacer {
    /// An idle link.
    #[must_use]
    pub fn new(shape: Shape) -> Pacer {
        Pacer { shape, free: None }
    }

    /// When a frame that is sent now arrives.
    pub fn arrival(&mut self, now: Instant, bytes: usize) -> Instant {
        let start = self.free.map_or(now, |free| free.max(now));
        let left = start + self.shape.transfer(bytes);
        self.free = Some(left);
        left + self.shape.rtt / 2
    }
}

/// Sleeps until then.
pub(super) fn sleep_until(then: Instant) {
    std::thread::sleep(then.saturating_duration_since(Instant::now()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spelled_out_or_by_name() {
        assert_eq!("wan".parse(), Ok(Shape::WAN));
        assert_eq!("0.05ms,100Gb".parse(), Ok(Shape::DATACENTRE));
        assert_eq!("40ms,100Mb".parse(), Ok(Shape::WAN));
        assert_eq!("0.2ms, 10Gb".parse(), Ok(Shape::LAN));
        assert_eq!("1 s,5 kb".parse(), Ok(Shape { rtt: Duration::from_secs(1), bits_per_second: 5e3 }));
        for text in ["", "fast", "40ms", "40,100Mb", "40ms,100MB", "-1ms,1Mb", "1ms,0Mb", "nanms,1Mb", "1ms,infGb"] {
            assert_eq!(text.parse::<Shape>(), Err(ShapeError(text.to_owned())));
        }
    }

    #[test]
    fn frames_queue_on_the_link_and_then_fly_together() {
        let ms = Duration::from_millis;
        let start = Instant::now();
        let mut link = Pacer::new(Shape { rtt: ms(40), bits_per_second: 8e6 });
        assert_eq!(link.arrival(start, 10_000), start + ms(30));
        assert_eq!(link.arrival(start, 10_000), start + ms(40), "waits for the first to leave, not to arrive");
        assert_eq!(link.arrival(start + ms(100), 0), start + ms(120), "an idle link starts at once");
    }
}
