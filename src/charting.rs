//! Charting at the bedside: who is there, which device is on whom, and what a person says of a
//! value. Served to a phone, off unless the configuration has a `[charting]` table.
//!
//! | file | what |
//! |---|---|
//! | `house` | what the bedside needs of the house around it |
//! | `shelf` | where the newest values are, and the last of each minute |
//! | `set` | the set of a patient or device as of a time |
//! | `acts` | what a person does: associate, confirm, reject, withdraw, enter |
//! | `charted` | what became of values, so that none is charted twice |
//! | `owners` | who owns the act of charting, by ward and class of parameter |
//! | `form` | what no device measures |
//! | `refs` | names of patients in addresses |
//! | `identity` | who a person is, by the hospital's provider, and what they may do |
//! | `api` | the same over HTTP, and the page |
//! | `words` | what parameters are called at the bedside |
//! | `shaken` | TLS connections of phones |

pub mod acts;
pub mod api;
pub mod charted;
pub mod form;
pub mod house;
pub mod identity;
pub mod owners;
pub mod refs;
pub mod set;
pub mod shaken;
pub mod shelf;
pub mod words;
