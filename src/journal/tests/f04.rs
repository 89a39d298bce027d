//! Fault 4, a failing disk: the n-th operation fails, for every n. The disk itself panics when a
//! file whose sync failed is synced or written to again.

use super::*;

#[test]
fn f04_a_failure_at_any_operation_loses_nothing_acknowledged() {
    let mut n = 1;
    loop {
        let disk = Arc::new(Memory::default());
        let (told, mut serial, mut chance) = (Told::default(), 0, Chance(7));
        disk.fail_at(Some(n));
        let mut reopened = false;
        for round in 0..6 {
            let why = format!("operation {n}, round {round}");
            let opened = open(&disk);
            let Ok((mut writer, mut reader, _)) = opened else { continue };
            for _ in 0..3 {
                told.commit(&mut writer, workload(&mut chance, &mut serial));
            }
            if let Door::Shut(_) = writer.shared().door() {
                let before = told.count();
                told.commit(&mut writer, vec![vec![record(b"after the failure")]]);
                assert_eq!(told.count(), before, "{why}: the door stays shut");
                reopened = true;
            }
            disk.quiet(true);
            told.check(&mut reader, &why);
            disk.quiet(false);
        }
        // What was only in the page cache after a failed sync must not be leaned on.
        let operations = disk.operations();
        disk.cut_power(&mut chance);
        let (_, mut reader, _) = open(&disk).unwrap();
        told.check(&mut reader, &format!("operation {n}, after the cut"));
        if operations < n {
            assert!(n > 100, "the workload has many operations");
            return;
        }
        assert!(reopened || told.count() > 0);
        n += 1;
    }
}

/// One life of a small journal that makes, fills, frees and reads several segments.
struct Life {
    told: Vec<Kept>,
    freed_before: u64,
}

impl Life {
    /// Until the end or the first failure.
    fn live(&mut self, disk: &Arc<Memory>, keys: &Keys) -> Result<(), Error> {
        let options = Options { keys: keys.clone(), ..small() };
        let mut opened = Journal::open_on(Arc::clone(disk) as Arc<dyn Storage>, options, None)?;
        for _ in 0..8 {
            let payload = vec![self.told.len() as u8; 3500];
            match append(&mut opened.appender, &payload) {
                Ok(sequence) => self.told.push((sequence.number(), payload)),
                Err(_) => return Ok(()),
            }
        }
        let last = self.told.last().unwrap().0;
        self.freed_before = last - 3;
        let before = Sequence::new(self.freed_before).unwrap();
        // A segment that could not be removed is still there or is gone; both are right.
        let _ = opened.appender.free_before(before);
        opened.reader.read_from(opened.reader.first(), 100, 1 << 20)?;
        opened.reader.segment_ages()?;
        Ok(())
    }

    fn check(&self, disk: &Arc<Memory>, keys: &Keys, why: &str) {
        let (_, mut reader, recovery) = open_with(disk, keys.clone()).unwrap();
        assert_eq!((&recovery.damaged[..], recovery.set_aside), (&[][..], None), "{why}");
        assert_eq!(reader.verify().unwrap().damaged, [], "{why}");
        for (sequence, payload) in self.told.iter().filter(|kept| kept.0 >= self.freed_before) {
            let found = reader.read(Sequence::new(*sequence).unwrap()).unwrap();
            assert_eq!(found.map(|record| record.payload).as_ref(), Some(payload), "{why}");
        }
    }
}

#[test]
fn f04_no_operation_of_a_whole_life_can_fail_with_a_loss() {
    for keys in [Keys::default(), Keys::of(key(1))] {
        let mut n = 1;
        loop {
            let disk = Arc::new(Memory::default());
            let mut life = Life { told: Vec::new(), freed_before: 1 };
            disk.fail_at(Some(n));
            let mut failed = 0;
            for _ in 0..3 {
                failed += usize::from(life.live(&disk, &keys).is_err());
            }
            assert!(failed <= 1, "operation {n}: one failure stops one life");
            let operations = disk.operations();
            disk.fail_at(None);
            life.check(&disk, &keys, &format!("operation {n}"));
            disk.cut_power(&mut Chance(n));
            life.check(&disk, &keys, &format!("operation {n}, after the cut"));
            if operations < n {
                assert!(n > 120, "a life has many operations, this one {operations}");
                break;
            }
            n += 1;
        }
    }
}
