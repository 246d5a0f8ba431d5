//! Dialogs: what a control plane that was killed needs to go on with its calls.
//!
//! A dialog changes several times while a call is set up and only its newest
//! state is worth anything, so changes wait in a map by dialog, newest wins,
//! and a task of its own writes the map out as one transaction:
//!
//! ```text
//!   put, delete --> pending {key: newest} --15 ms--> one transaction --> disk
//! ```
//!
//! Lost by `kill -9`: what was put in the last 15 ms and the time of one commit.
//! A database that fails is tried again; nothing pending is thrown away.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use plenum_model::{CallId, CallLegId, InvalidField};
use sqlx::any::AnyRow;
use sqlx::{AnyPool, Row};
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use crate::{Backend, Store, StoreError, begin};

/// Most bytes of a dialog's key.
pub const MAX_DIALOG_KEY: usize = 1_024;
/// Most bytes of a dialog's state.
pub const MAX_DIALOG_STATE: usize = 64 * 1_024;
/// Most dialogs that wait to be written; more wait outside.
pub const MAX_PENDING_DIALOGS: usize = 4_096;

/// How long changes are gathered.
const GATHER: Duration = Duration::from_millis(15);
/// How long a caller waits for a database that does not answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Pauses after the first failure and at most.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// One dialog.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DialogRecord {
    /// Identity of the dialog (Call-ID and tags, as the signalling likes), at
    /// most [`MAX_DIALOG_KEY`] bytes.
    pub key: String,
    /// The call leg it carries.
    pub leg: CallLegId,
    /// The call the leg is in.
    pub call: CallId,
    /// The worker that has its media.
    pub worker: u32,
    /// The leg's slot on that worker.
    pub slot: u32,
    /// Generation of the slot's tenant.
    pub generation: u32,
    /// Signalling and what was negotiated, as JSON; at most
    /// [`MAX_DIALOG_STATE`] bytes. Not looked into here.
    pub state: String,
    /// When it last changed, Unix time in milliseconds.
    pub updated_at_ms: i64,
}

/// What is to be written, `None` for removal.
type Pending = HashMap<String, Option<DialogRecord>>;

#[derive(Default)]
struct State {
    pending: Pending,
    /// Changes accepted so far.
    accepted: u64,
    closed: bool,
}

/// Changes on their way to the disk.
#[derive(Default)]
pub(crate) struct Queue {
    state: Mutex<State>,
    /// Something is pending, or the queue was closed.
    changed: Notify,
    /// There is room again, or the queue was closed.
    room: Notify,
    /// Changes that are on disk, by the count in `accepted`.
    written: watch::Sender<u64>,
    /// The writing task has ended.
    ended: watch::Sender<bool>,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock; if one did, the map is whole all the same.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing more is accepted; what is pending is still written.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_one();
        self.room.notify_waiters();
    }

    /// Waits until the writing task has ended.
    pub(crate) async fn written_out(&self, most: Duration) {
        let mut ended = self.ended.subscribe();
        // Past `most` the database hangs, and closing must not.
        let _ = timeout(most, ended.wait_for(|&ended| ended)).await;
    }

    async fn push(&self, key: String, change: Option<DialogRecord>) -> Result<(), StoreError> {
        let mut change = Some((key, change));
        let waiting = async {
            loop {
                let room = self.room.notified();
                tokio::pin!(room);
                // From here on no notification is missed.
                room.as_mut().enable();
                {
                    let mut state = self.lock();
                    if state.closed {
                        return Err(StoreError::Closed);
                    }
                    let has_room = state.pending.len() < MAX_PENDING_DIALOGS;
                    if let Some((key, record)) = change
                        .take_if(|(key, _)| has_room || state.pending.contains_key(key.as_str()))
                    {
                        state.pending.insert(key, record);
                        state.accepted += 1;
                        break;
                    }
                }
                room.await;
            }
            self.changed.notify_one();
            Ok(())
        };
        timeout(PATIENCE, waiting)
            .await
            .map_err(|_| StoreError::Busy)?
    }

    fn take(&self) -> (Pending, u64) {
        let mut state = self.lock();
        (std::mem::take(&mut state.pending), state.accepted)
    }

    /// Puts back what could not be written, unless it changed meanwhile.
    fn put_back(&self, batch: Pending) {
        let mut state = self.lock();
        for (key, change) in batch {
            if let Entry::Vacant(entry) = state.pending.entry(key) {
                entry.insert(change);
            }
        }
    }
}

/// The writing task: ends when the queue is closed and empty.
pub(crate) async fn write_out(queue: Arc<Queue>, pool: AnyPool, backend: Backend) {
    let mut pause = RETRY.0;
    let mut failing = false;
    loop {
        let idle = {
            let state = queue.lock();
            if state.closed && (state.pending.is_empty() || failing) {
                break;
            }
            state.pending.is_empty()
        };
        if idle {
            queue.changed.notified().await;
            if !queue.lock().closed {
                tokio::time::sleep(GATHER).await;
            }
        }
        let (batch, accepted) = queue.take();
        match write(&batch, &pool, backend).await {
            Ok(()) => {
                if failing {
                    tracing::info!("dialogs are written again");
                }
                failing = false;
                pause = RETRY.0;
                queue.written.send_replace(accepted);
            }
            Err(error) => {
                if !failing {
                    tracing::error!(%error, "dialogs cannot be written; trying again");
                }
                failing = true;
                queue.put_back(batch);
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(RETRY.1);
            }
        }
        queue.room.notify_waiters();
    }
    let lost = queue.lock().pending.len();
    if lost > 0 {
        tracing::error!(lost, "closed with dialogs that could not be written");
    }
    queue.ended.send_replace(true);
}

async fn write(batch: &Pending, pool: &AnyPool, backend: Backend) -> Result<(), StoreError> {
    if batch.is_empty() {
        return Ok(());
    }
    let mut transaction = begin(pool, backend).await?;
    for (key, change) in batch {
        let query = match change {
            Some(dialog) => sqlx::query(
                "INSERT INTO dialogs (dialog_key, leg_id, call_id, worker, slot, generation,
                 state, updated_at_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
                 ON CONFLICT (dialog_key) DO UPDATE SET leg_id = excluded.leg_id,
                 call_id = excluded.call_id, worker = excluded.worker, slot = excluded.slot,
                 generation = excluded.generation, state = excluded.state,
                 updated_at_ms = excluded.updated_at_ms",
            )
            .bind(dialog.key.clone())
            .bind(dialog.leg.to_string())
            .bind(dialog.call.to_string())
            .bind(i64::from(dialog.worker))
            .bind(i64::from(dialog.slot))
            .bind(i64::from(dialog.generation))
            .bind(dialog.state.clone())
            .bind(dialog.updated_at_ms),
            None => sqlx::query("DELETE FROM dialogs WHERE dialog_key = $1").bind(key.clone()),
        };
        query.execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    Ok(())
}

impl Store {
    /// Keeps a dialog's newest state. Returns when it is queued; it is on disk
    /// some 20 ms later. Waits while [`MAX_PENDING_DIALOGS`] others wait.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`]; [`StoreError::Invalid`] for a NUL character;
    /// [`StoreError::Busy`] when the database has not
    /// taken anything for seconds; [`StoreError::Closed`].
    pub async fn put_dialog(&self, dialog: DialogRecord) -> Result<(), StoreError> {
        if dialog.key.len() > MAX_DIALOG_KEY || dialog.state.len() > MAX_DIALOG_STATE {
            return Err(StoreError::TooLarge {
                bytes: dialog.key.len().max(dialog.state.len()),
            });
        }
        // One database refuses it, and with it the whole transaction, again and again.
        if dialog.key.contains('\0') || dialog.state.contains('\0') {
            return Err(InvalidField::new("dialog").into());
        }
        self.inner
            .dialogs
            .push(dialog.key.clone(), Some(dialog))
            .await
    }

    /// Forgets a dialog; otherwise as [`Store::put_dialog`].
    ///
    /// # Errors
    /// [`StoreError::Busy`] and [`StoreError::Closed`] as above.
    pub async fn delete_dialog(&self, key: &str) -> Result<(), StoreError> {
        self.inner.dialogs.push(key.to_owned(), None).await
    }

    /// Waits until everything put before is on disk.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when that does not come about within seconds.
    pub async fn flush_dialogs(&self) -> Result<(), StoreError> {
        let accepted = self.inner.dialogs.lock().accepted;
        let mut written = self.inner.dialogs.written.subscribe();
        match timeout(PATIENCE, written.wait_for(|&written| written >= accepted)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(StoreError::Closed),
            Err(_) => Err(StoreError::Busy),
        }
    }

    /// Every dialog there is, for a control plane that starts. Includes
    /// everything put before.
    ///
    /// # Errors
    /// When the database fails; a row that makes no sense is logged and left out.
    pub async fn dialogs(&self) -> Result<Vec<DialogRecord>, StoreError> {
        self.flush_dialogs().await?;
        let rows = sqlx::query("SELECT * FROM dialogs ORDER BY updated_at_ms, dialog_key")
            .fetch_all(&self.inner.read)
            .await?;
        let mut dialogs = Vec::with_capacity(rows.len());
        for row in &rows {
            match read_dialog(row) {
                Ok(dialog) => dialogs.push(dialog),
                // One bad row must not keep the other calls from going on.
                Err(error) => tracing::error!(%error, "a dialog cannot be read"),
            }
        }
        Ok(dialogs)
    }
}

fn read_dialog(row: &AnyRow) -> Result<DialogRecord, StoreError> {
    let leg: String = row.try_get("leg_id")?;
    let call: String = row.try_get("call_id")?;
    let number = |column: &str| -> Result<u32, StoreError> {
        u32::try_from(row.try_get::<i64, _>(column)?).map_err(|_| StoreError::Corrupt {
            what: "dialog's slot",
        })
    };
    let corrupt = |_| StoreError::Corrupt {
        what: "dialog's id",
    };
    Ok(DialogRecord {
        key: row.try_get("dialog_key")?,
        leg: leg.parse().map_err(corrupt)?,
        call: call.parse().map_err(corrupt)?,
        worker: number("worker")?,
        slot: number("slot")?,
        generation: number("generation")?,
        state: row.try_get("state")?,
        updated_at_ms: row.try_get("updated_at_ms")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dialog(n: usize) -> DialogRecord {
        DialogRecord {
            key: n.to_string(),
            leg: CallLegId::from_bytes([0; 16]),
            call: CallId::from_bytes([0; 16]),
            worker: 0,
            slot: 0,
            generation: 0,
            state: String::new(),
            updated_at_ms: 0,
        }
    }

    /// Nobody writes here: the queue alone.
    #[tokio::test(start_paused = true)]
    async fn the_queue_is_bounded_and_waits_for_room() {
        let queue = Arc::new(Queue::default());
        let push = |n: usize| queue.push(n.to_string(), Some(dialog(n)));
        for n in 0..MAX_PENDING_DIALOGS {
            push(n).await.unwrap();
        }
        // A newer state of one that waits takes no room.
        push(7).await.unwrap();
        assert!(matches!(
            push(MAX_PENDING_DIALOGS).await,
            Err(StoreError::Busy)
        ));
        assert_eq!(queue.lock().pending.len(), MAX_PENDING_DIALOGS);
        let waiting = {
            let queue = Arc::clone(&queue);
            tokio::spawn(async move { queue.push("new".into(), None).await })
        };
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(queue.take().0.len(), MAX_PENDING_DIALOGS);
        queue.room.notify_waiters();
        waiting.await.unwrap().unwrap();
        assert_eq!(queue.lock().pending.len(), 1);
    }

    #[test]
    fn what_is_put_back_does_not_undo_what_came_meanwhile() {
        let queue = Queue::default();
        let mut newer = dialog(1);
        newer.state = "newer".into();
        queue.lock().pending.insert("1".into(), Some(newer.clone()));
        let batch = Pending::from([("1".into(), Some(dialog(1))), ("2".into(), None)]);
        queue.put_back(batch);
        let (pending, _) = queue.take();
        assert_eq!(pending["1"], Some(newer));
        assert_eq!(pending["2"], None);
    }
}
