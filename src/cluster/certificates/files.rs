//! A certificate of files, `tls.crt` and `tls.key` of a folder, for as long as somebody else renews it.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{Orders, Served, Standing, Telling};
use crate::{
    certificates::{File, Provided, Refused, Secret},
    watched::Watched,
};

const CHAIN: &str = "tls.crt";
const KEY: &str = "tls.key";

/// No chain and no key is larger.
const LARGEST: u64 = 256 << 10;

/// Between two looks at files that do not belong together: the one may have been read before and the other after a swap.
const PAUSE: Duration = Duration::from_millis(100);

pub(super) async fn keep(folder: &Path, orders: &Orders, served: &Served, telling: &mut Telling<'_>) {
    // Made before the files are read, it misses no change.
    let mut watched = Watched::new(&folder.join(CHAIN), orders.interval);
    let mut not_after = None;
    loop {
        let mut looked = look(folder, orders);
        if looked.is_err() {
            tokio::time::sleep(PAUSE).await;
            looked = look(folder, orders);
        }
        let trouble = match looked {
            Ok(provided) => {
                not_after = Some(provided.not_after);
                served.send_if_modified(|before| {
                    let is_other = before.as_ref().is_none_or(|before| before.cert != provided.certified.cert);
                    if is_other {
                        *before = Some(provided.certified);
                    }
                    is_other
                });
                None
            }
            Err(refused) => Some(refused.to_string()),
        };
        telling.tell(Standing { not_after, trouble });
        watched.sign().await;
    }
}

fn look(folder: &Path, orders: &Orders) -> Result<Provided, Refused> {
    let (chain, key) = (folder.join(CHAIN), folder.join(KEY));
    let (chain_text, key_text) = (read(&chain)?, read(&key)?);
    let file = |path, content| File { path, content };
    Provided::new(file(&chain, &chain_text), file(&key, &key_text), &orders.service, (orders.now)())
}

/// Into room that is large enough from the start: growing would leave copies behind.
fn read(path: &PathBuf) -> Result<Secret, Refused> {
    #[expect(clippy::disallowed_methods, reason = "the files are read anew when they change")]
    let file = std::fs::File::open(path);
    let mut content = Vec::with_capacity(LARGEST as usize + 1);
    let read = file.and_then(|file| file.take(LARGEST + 1).read_to_end(&mut content));
    let content = Secret::new(content);
    match read {
        Ok(_) if content.expose().len() as u64 > LARGEST => {
            Err(Refused::TooLarge { path: path.clone(), limit: LARGEST })
        }
        Ok(_) => Ok(content),
        Err(error) => Err(Refused::Unreadable { path: path.clone(), why: error.to_string() }),
    }
}
