//! The owners' client: shares the inputs, sends them to the three parties, puts the results together. On one machine one
//! client plays all owners.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::party::Report;
use super::{RunError, owner};
use crate::graph::Graph;
use crate::net::owner::{Message, MessageKind, OwnerLink, Room};
use crate::plan::{Input, Party, Plan};

/// The largest report or failure text that is read.
const TEXT: usize = 1 << 16;

/// What the owners have after a run.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Result name -> values, row-major.
    pub outputs: BTreeMap<String, Vec<f64>>,
    /// What each party counted.
    pub reports: [Report; 3],
    /// Time to encode, share and send the inputs.
    pub share: Duration,
    /// Time from then until the last result.
    pub run: Duration,
}

/// Values by the path of their input, row-major.
pub type Data = BTreeMap<String, Vec<f64>>;

/// The owners' end of their links to three parties, which run a plan as often as they agreed to.
pub struct Client<'p> {
    plan: &'p Plan,
    clear: Graph,
    links: [Box<dyn OwnerLink>; 3],
    /// Time to encode, share and send what was submitted since the last run.
    share: Duration,
    /// Each party's largest part of a result that was read, whose memory goes back with the next run: within a process it
    /// serves again, where new memory would be zeroed page by page.
    rooms: [Vec<u8>; 3],
}

impl<'p> Client<'p> {
    /// A client that has submitted nothing yet.
    ///
    /// # Errors
    /// If the plan's part for the owners cannot be read.
    pub fn new(plan: &'p Plan, links: [impl OwnerLink + 'static; 3]) -> Result<Client<'p>, RunError> {
        let links = links.map(|link| Box::new(link) as Box<dyn OwnerLink>);
        Ok(Client { plan, clear: owner::clear_graph(plan)?, links, share: Duration::ZERO, rooms: Default::default() })
    }

    /// Shares the inputs of the owners that `whose` takes (`None`: public ones) and sends them to the parties. They take the
    /// place of those that the parties have.
    ///
    /// # Errors
    /// If the data do not fit or a party cannot be reached.
    pub fn submit(&mut self, data: &Data, whose: impl Fn(Option<u32>) -> bool) -> Result<(), RunError> {
        let start = Instant::now();
        for input in self.plan.inputs.iter().filter(|input| whose(input.owner)) {
            self.give(input, data)?;
        }
        self.share += start.elapsed();
        Ok(())
    }

    /// The same for all inputs. Values go as soon as no other input needs them, so that at no time all of them are there beside
    /// all shares.
    ///
    /// # Errors
    /// If the data do not fit or a party cannot be reached.
    pub fn submit_all(&mut self, mut data: Data) -> Result<(), RunError> {
        let start = Instant::now();
        // The last input that needs each.
        let mut last: BTreeMap<String, usize> = BTreeMap::new();
        for (at, input) in self.plan.inputs.iter().enumerate() {
            last.extend(owner::needed(&self.clear, input).into_iter().map(|path| (path.to_string(), at)));
        }
        for (at, input) in self.plan.inputs.iter().enumerate() {
            self.give(input, &data)?;
            data.retain(|path, _| last.get(path).is_some_and(|last| *last > at));
        }
        self.share += start.elapsed();
        Ok(())
    }

    /// Shares an input.
    fn give(&mut self, input: &Input, data: &Data) -> Result<(), RunError> {
        let parts = owner::submit(self.plan, &self.clear, input, data)?;
        let name = owner::submission_name(self.plan, input);
        for (party, part) in Party::ALL.into_iter().zip(parts) {
            self.send(party, Message::new(MessageKind::Input, name, part))?;
        }
        Ok(())
    }

    /// Lets the parties run and waits for the results.
    ///
    /// # Errors
    /// If a party fails: the first failure that one reports.
    pub fn run(&mut self) -> Result<Outcome, RunError> {
        let start = Instant::now();
        for party in Party::ALL {
            let mut room = std::mem::take(&mut self.rooms[party.index()]);
            room.clear();
            self.send(party, Message::new(MessageKind::Run, "", room))?;
        }
        let mut outcome = Outcome { share: std::mem::take(&mut self.share), ..Outcome::default() };
        let mut halves: [BTreeMap<String, Vec<u8>>; 3] = Default::default();
        for party in Party::ALL {
            let answered = self.answers(party, &mut halves[party.index()]);
            // Those before it have answered already.
            outcome.reports[party.index()] = answered.map_err(|error| self.at_its_root(error, party))?;
        }
        outcome.run = start.elapsed();
        for output in &self.plan.outputs {
            let half = |party: usize| halves[party].get(&output.name).map(Vec::as_slice);
            let (Some(a), Some(b)) = (half(0), half(1)) else {
                let text = format!("did not send its part of `{}`", output.name);
                let party = if half(0).is_none() { Party(0) } else { Party(1) };
                return Err(RunError::Party { party, text, of: None });
            };
            outcome.outputs.insert(output.name.clone(), owner::combine(self.plan, output, [a, b]));
        }
        self.rooms = halves.map(|parts| parts.into_values().max_by_key(Vec::capacity).unwrap_or_default());
        Ok(outcome)
    }

    /// Sends a message. A party that is gone may have said why.
    fn send(&mut self, party: Party, message: Message) -> Result<(), RunError> {
        self.links[party.index()].send(message).map_err(|error| match self.answers(party, &mut BTreeMap::new()) {
            Err(why @ RunError::Party { .. }) => self.at_its_root(why, Party(0)),
            _ => error.into(),
        })
    }

    /// What a party failed of, in the words of the party whose failure it passes on, if that is `first` or one behind it.
    fn at_its_root(&mut self, error: RunError, first: Party) -> RunError {
        match error {
            RunError::Party { of: Some(other), party, .. } if other != party && other >= first => {
                match self.answers(other, &mut BTreeMap::new()) {
                    Err(own @ RunError::Party { .. }) => own,
                    _ => error,
                }
            }
            _ => error,
        }
    }

    /// A party's parts of the results, and at the end its report.
    fn answers(&mut self, party: Party, parts: &mut BTreeMap<String, Vec<u8>>) -> Result<Report, RunError> {
        let plan = self.plan;
        loop {
            let message = self.links[party.index()].recv(None, &|kind, name| room(plan, party, kind, name))?;
            match message.kind {
                MessageKind::Output => {
                    parts.insert(message.name, message.payload);
                }
                MessageKind::Report => {
                    return serde_json::from_slice(&message.payload).map_err(|e| {
                        let text = format!("sent a report that cannot be read: {e}");
                        RunError::Party { party, text, of: None }
                    });
                }
                MessageKind::Failure | MessageKind::Input | MessageKind::Run => {
                    let text = String::from_utf8_lossy(&message.payload).into_owned();
                    let of = Party::ALL.into_iter().find(|party| party.to_string() == message.name);
                    return Err(RunError::Party { party, text, of });
                }
            }
        }
    }
}

fn room(plan: &Plan, party: Party, kind: MessageKind, name: &str) -> Option<Room> {
    match kind {
        MessageKind::Output => {
            let output = plan.outputs.iter().find(|o| o.name == name)?;
            let buf = output.bufs.get(party.index())?;
            Some(Room::Exactly(plan.buf(*buf).wire_bytes()))
        }
        MessageKind::Report | MessageKind::Failure => Some(Room::AtMost(TEXT)),
        MessageKind::Input | MessageKind::Run => None,
    }
}
