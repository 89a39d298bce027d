//! The bedside of a simulated house: its real interface without a port, and a provider without a
//! network.

use std::sync::{Arc, Mutex};

use axum::Router;

use crate::charting::identity::tests::Simulated;

/// Where a house puts its bedside; outlives the house.
#[derive(Default)]
pub(in crate::gateway) struct Seat {
    provider: Arc<Simulated>,
    router: Mutex<Option<Router>>,
}

impl Seat {
    pub fn provider(&self) -> Arc<Simulated> {
        Arc::clone(&self.provider)
    }

    /// A house is open, and this is its bedside.
    pub fn open(&self, router: Router) {
        *self.router.lock().unwrap() = Some(router);
    }

    pub fn router(&self) -> Router {
        self.router.lock().unwrap().clone().expect("the house is open")
    }
}
