//! How long a machine takes for each unit of work: measured on it, or the built-in figures of the machine named there.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::work::{Unit, Work};

/// A kind of machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// What it is called: its processor.
    pub name: String,
    /// How much more all its cores do at once than one of them alone: fewer than it seems to have, where they share a unit.
    pub cores: f64,
    /// Nanoseconds for each [`Unit`], by name.
    nanoseconds: BTreeMap<String, f64>,
}

/// Why a machine's description is of no use.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum MachineError {
    /// Not the JSON of a machine.
    #[error("{0}")]
    Json(String),
    /// Units are missing, unknown, or no times.
    #[error("{0}; calibrate anew with `smlc bench --calibrate`")]
    Units(String),
}

impl Machine {
    /// A machine from its time for each unit, in nanoseconds.
    #[must_use]
    pub fn new(name: String, cores: f64, nanoseconds: impl Fn(Unit) -> f64) -> Machine {
        let named = Unit::ALL.into_iter().map(|(unit, name)| (name.to_string(), nanoseconds(unit)));
        Machine { name, cores, nanoseconds: named.collect() }
    }

    /// The built-in figures.
    #[must_use]
    pub fn built_in() -> Machine {
        Machine::new(BUILT_IN.0.to_string(), BUILT_IN.1, |unit| BUILT_IN.2[unit as usize])
    }

    /// Reads what [`Machine::to_json`] wrote.
    ///
    /// # Errors
    /// If it is something else, or of a version with other units.
    pub fn from_json(text: &str) -> Result<Machine, MachineError> {
        let machine: Machine = serde_json::from_str(text).map_err(|e| MachineError::Json(e.to_string()))?;
        let known = |name: &str| Unit::ALL.iter().any(|(_, n)| *n == name);
        if let Some(name) = machine.nanoseconds.keys().find(|name| !known(name)) {
            return Err(MachineError::Units(format!("there is no unit `{name}`")));
        }
        for (_, name) in Unit::ALL {
            match machine.nanoseconds.get(name) {
                Some(time) if time.is_finite() && *time >= 0.0 => {}
                Some(time) => return Err(MachineError::Units(format!("`{name}` takes {time} nanoseconds"))),
                None => return Err(MachineError::Units(format!("the unit `{name}` is missing"))),
            }
        }
        if !machine.cores.is_finite() || machine.cores < 1.0 {
            return Err(MachineError::Units(format!("a machine has at least one core, not {}", machine.cores)));
        }
        Ok(machine)
    }

    /// A file's content.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a machine is names and numbers") + "\n"
    }

    /// Nanoseconds for one of a unit.
    #[must_use]
    pub fn nanoseconds(&self, unit: Unit) -> f64 {
        self.nanoseconds.get(Unit::ALL[unit as usize].1).copied().unwrap_or(0.0)
    }

    /// Seconds for some work.
    #[must_use]
    pub fn seconds(&self, work: &Work) -> f64 {
        work.iter().map(|(unit, count)| count * self.nanoseconds(unit)).sum::<f64>() * 1e-9
    }
}

/// Name, cores, nanoseconds in the order of [`Unit`].
const BUILT_IN: (&str, f64, [f64; Unit::ALL.len()]) = (
    "Intel Xeon at 2.50 GHz, AVX-512",
    2.0,
    [
        490.0, 0.145, 0.44, 0.35, 0.46, 1.0, 43.0, 0.176, 0.014, 0.24, 0.015, 0.1, 0.65, 0.034, 1.2, 2.83, 0.063, 1.17,
        0.37, 2.24, 5000.0,
    ],
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_read_as_it_was_written() {
        let machine = Machine::built_in();
        assert_eq!(Machine::from_json(&machine.to_json()), Ok(machine.clone()));
        assert!(Unit::ALL.iter().enumerate().all(|(at, (unit, _))| *unit as usize == at));
        let twice = Work::of(Unit::Launch, 2.0);
        assert_eq!(machine.seconds(&twice), 2e-9 * machine.nanoseconds(Unit::Launch));
        let units = |edit: fn(&mut Machine)| {
            let mut other = Machine::built_in();
            edit(&mut other);
            matches!(Machine::from_json(&other.to_json()), Err(MachineError::Units(_)))
        };
        assert!(units(|m| m.cores = 0.5));
        assert!(units(|m| m.nanoseconds.retain(|name, _| name != "launch")));
        assert!(units(|m| m.nanoseconds.extend([("lunch".to_string(), 1.0)])));
        assert!(units(|m| m.nanoseconds.extend([("launch".to_string(), -1.0)])));
        assert!(matches!(Machine::from_json("{}"), Err(MachineError::Json(_))));
    }
}
