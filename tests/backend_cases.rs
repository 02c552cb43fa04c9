//! Every backend that can run here passes the shared cases.

use smlc::backend::{cases, cpu::Cpu};

#[test]
fn the_processor_passes_every_case() {
    let reports = cases::run_all(&mut |party, keys| Box::new(Cpu::new(party, keys)));
    let failed: Vec<_> = reports.iter().filter_map(|r| Some((&r.name, r.outcome.as_ref().err()?))).collect();
    assert!(failed.is_empty(), "{} of {} cases fail: {failed:#?}", failed.len(), reports.len());
}
