//! What the kernel says of a process: memory and open files.

use std::fs;

/// The most memory that it ever had resident, in bytes, since the last [`forget_peak`].
pub fn peak_resident_bytes(id: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{id}/status")).expect("the process runs");
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kib * 1024
}

/// The peak is what is resident now.
pub fn forget_peak(id: u32) {
    fs::write(format!("/proc/{id}/clear_refs"), "5").expect("the peak is forgotten");
}

/// How many sockets it has open. Its other files come and go with the journal's segments.
pub fn open_sockets(id: u32) -> usize {
    let entries = fs::read_dir(format!("/proc/{id}/fd")).expect("the process runs").flatten();
    let what = entries.filter_map(|entry| fs::read_link(entry.path()).ok());
    what.filter(|what| what.to_string_lossy().starts_with("socket:")).count()
}
