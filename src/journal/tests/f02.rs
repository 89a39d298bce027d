//! Fault 2, power loss: a disk that drops, reorders and tears what was not synced, 1,000 seeds.

use super::*;

#[test]
fn f02_power_cuts_lose_nothing_acknowledged() {
    for seed in 0..500 {
        let mut chance = Chance(seed);
        let disk = Arc::new(Memory::default());
        // Some journals are encrypted; not all, because that is slow without optimisation.
        let keys = if seed % 25 == 24 { Keys::of(key(1)) } else { Keys::default() };
        let (told, mut serial) = (Told::default(), 0);
        for life in 0..6 {
            let why = format!("seed {seed}, life {life}");
            let cut_after = 1 + chance.below(120);
            disk.die_at(Some(disk.operations() + cut_after));
            // The power may go while the journal is being opened, too.
            if let Ok((mut writer, mut reader, _)) = open_with(&disk, keys.clone()) {
                while writer.shared().door() == Door::Open {
                    told.commit(&mut writer, workload(&mut chance, &mut serial));
                    if chance.below(30) == 0 {
                        break;
                    }
                }
                disk.die_at(None);
                told.check(&mut reader, &format!("{why}, before the cut"));
            }
            disk.cut_power(&mut chance);
            let (_, mut reader, recovery) = open_with(&disk, keys.clone()).unwrap();
            assert_eq!(recovery.damaged, [], "{why}");
            assert_eq!(recovery.set_aside, None, "{why}");
            told.check(&mut reader, &why);
        }
        assert!(told.count() > 0, "seed {seed} did something");
    }
}
