//! Writes small databases, with which the fuzzer begins, into the given directory.

use databases::Database;

fn main() -> std::io::Result<()> {
    let folder = std::env::args().nth(1).expect("a folder");
    for seed in 0..40 {
        let mut database = Database { page_size: 512, ..Database::etcd() };
        database.seed = (seed % 2 == 1).then_some(seed);
        database.has_freelist = seed % 3 == 0;
        for main in 2..2 + seed % 7 * 5 {
            let name = format!("k{}", main % 5);
            match main % 4 {
                0 => database.delete(main, &name),
                _ => database.put(main, &name, &vec![b'v'; (main * seed % 700) as usize]),
            }
        }
        if seed % 5 == 4 {
            database.compact(3, seed % 2 == 0);
        }
        std::fs::write(format!("{folder}/{seed}"), database.bytes())?;
    }
    Ok(())
}
