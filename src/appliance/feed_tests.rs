//! Watchers come, lag, leave and return.

use futures_util::FutureExt;

use super::*;

fn change(number: usize) -> Change {
    let (appliance, at) = (ApplianceId::parse("a").unwrap(), Timestamp::UNIX_EPOCH);
    Change { appliance, at, what: What::Alerts { count: number } }
}

/// What comes without waiting: the numbers of the changes, or `None` for a reset.
fn heard(watcher: &mut Watcher) -> Vec<Option<usize>> {
    let mut heard = Vec::new();
    while let Some(Some(news)) = watcher.next().now_or_never() {
        match news {
            News::Reset(_) => heard.push(None),
            News::Changes(changes) => heard.extend(changes.iter().map(|(_, change)| {
                let What::Alerts { count } = change.what else { panic!("{change:?}") };
                Some(count)
            })),
        }
    }
    heard
}

fn place(watcher: &mut Watcher) -> Place {
    match watcher.next().now_or_never().unwrap().unwrap() {
        News::Reset(place) => place,
        News::Changes(changes) => changes.last().unwrap().0,
    }
}

#[test]
fn nothing_is_kept_while_nobody_watches() {
    let feed = Feed::default();
    feed.publish(change(1));
    assert!(!feed.is_watched());
    let mut watcher = feed.watch(None).unwrap();
    assert_eq!(heard(&mut watcher), [None]);
    feed.publish(change(2));
    assert_eq!(heard(&mut watcher), [Some(2)]);
}

#[test]
fn one_that_returns_goes_on_where_it_stopped() {
    let feed = Feed::default();
    let mut watcher = feed.watch(None).unwrap();
    assert_eq!(place(&mut watcher).to_string().split_once('-').unwrap().1, "0");
    feed.publish(change(1));
    let last = place(&mut watcher);
    assert_eq!(Place::parse(&last.to_string()), Some(last));
    drop(watcher);
    feed.publish(change(2));
    assert_eq!(heard(&mut feed.watch(Some(last)).unwrap()), [Some(2)]);
    let stranger = Place { life: last.life.wrapping_add(1), ..last };
    for unknown in [stranger, Place { number: 3, ..last }, Place { number: u64::MAX, ..last }] {
        assert_eq!(heard(&mut feed.watch(Some(unknown)).unwrap()), [None]);
    }
}

#[test]
fn one_that_is_too_slow_is_told_so_and_the_rest_is_bounded() {
    let feed = Feed::default();
    let (mut fast, mut slow) = (feed.watch(None).unwrap(), feed.watch(None).unwrap());
    assert_eq!((heard(&mut fast), heard(&mut slow)), (vec![None], vec![None]));
    for number in 0..KEPT {
        feed.publish(change(number));
    }
    assert_eq!(heard(&mut fast).len(), KEPT);
    feed.publish(change(KEPT));
    assert_eq!(feed.ring().kept.len(), KEPT);
    assert_eq!((heard(&mut fast), heard(&mut slow)), (vec![Some(KEPT)], vec![None]));
    feed.publish(change(1));
    assert_eq!(heard(&mut slow), [Some(1)]);
}

#[tokio::test(start_paused = true)]
async fn after_a_minute_without_watchers_nothing_is_kept_any_more() {
    let feed = Feed::default();
    let mut watcher = feed.watch(None).unwrap();
    let last = place(&mut watcher);
    drop(watcher);
    feed.publish(change(1));
    assert!(feed.is_watched());
    tokio::time::advance(LINGER + Duration::from_secs(1)).await;
    feed.publish(change(2));
    assert!(!feed.is_watched() && feed.ring().kept.is_empty());
    assert_eq!(heard(&mut feed.watch(Some(last)).unwrap()), [None]);
}

#[test]
fn there_are_only_so_many_watchers_and_closing_ends_them() {
    let feed = Feed::default();
    let mut all: Vec<_> = (0..MAX_WATCHERS).map(|_| feed.watch(None).unwrap()).collect();
    assert_eq!(feed.watch(None).err(), Some(TooMany));
    all.truncate(1);
    heard(&mut all[0]);
    feed.close();
    assert!(all[0].next().now_or_never().unwrap().is_none());
}
