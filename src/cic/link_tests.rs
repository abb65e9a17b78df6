//! The link's policy, told as what happens to it and what it does.

use super::*;

const DAY: Duration = Duration::from_secs(86_400);

struct Bench {
    link: Link,
    now: Now,
    out: Vec<Output>,
}

impl Bench {
    fn new() -> Self {
        let wall = "2026-03-02T09:00:00Z".parse().unwrap();
        let now = Now { mono: Instant::now(), wall };
        Self { link: Link::new(Policy::default(), 7), now, out: vec![] }
    }

    fn wanted() -> Self {
        let mut bench = Self::new();
        bench.token(DAY);
        bench.feed(Input::Wanted);
        bench
    }

    fn connected() -> Self {
        let mut bench = Self::wanted();
        bench.feed(Input::Hello(1));
        bench.out.clear();
        bench
    }

    fn token(&mut self, life: Duration) {
        let expires_at = self.now.wall.checked_add(life).unwrap();
        self.feed(Input::Token { issued_at: self.now.wall, expires_at });
    }

    fn feed(&mut self, input: Input) {
        self.link.handle(input, self.now);
        self.collect();
    }

    fn collect(&mut self) {
        while let Some(output) = self.link.poll_output() {
            self.out.push(output);
        }
    }

    fn pass(&mut self, by: Duration) {
        let end = self.now.plus(by);
        while let Some(due) = self.link.poll_timeout().filter(|due| *due <= end.mono) {
            self.now = self.now.plus(due.saturating_duration_since(self.now.mono));
            self.link.handle_timeout(self.now);
            self.collect();
        }
        self.now = end;
    }

    fn lost(&mut self, generation: u64) {
        self.feed(Input::Closed(generation, CloseReason::Lost("x".into())));
    }

    fn connects(&self) -> usize {
        self.out.iter().filter(|o| matches!(o, Output::Connect { .. })).count()
    }

    fn refreshes(&self) -> usize {
        self.out.iter().filter(|o| matches!(o, Output::Refresh)).count()
    }
}

#[test]
fn a_wanted_and_paired_appliance_connects() {
    let mut b = Bench::new();
    b.feed(Input::Wanted);
    assert_eq!(b.link.state(), SessionState::Unpaired);
    b.token(DAY);
    assert_eq!((b.connects(), b.link.state()), (1, SessionState::Connecting));
    b.feed(Input::Hello(1));
    assert_eq!(b.link.state(), SessionState::Connected);
}

#[test]
fn retries_back_off_and_a_hello_resets_them() {
    let mut b = Bench::wanted();
    let mut waits = Vec::new();
    for generation in 1..=8 {
        b.lost(generation);
        let wait = b.link.poll_timeout().unwrap() - b.now.mono;
        waits.push(wait.as_secs_f64());
        b.pass(wait);
    }
    let policy = [0.25, 1.0, 3.0, 5.0, 10.0, 20.0, 20.0, 20.0];
    for (wait, want) in waits.iter().zip(policy) {
        assert!((want * 0.65..want * 1.51).contains(wait), "{waits:?}");
    }
    b.feed(Input::Hello(9));
    b.lost(9);
    assert!(b.link.poll_timeout().unwrap() - b.now.mono < Duration::from_secs_f64(0.376));
}

#[test]
fn channels_that_do_not_live_are_reopened_more_and_more_slowly() {
    let mut b = Bench::wanted();
    let mut waits = Vec::new();
    for generation in 1..=5 {
        b.feed(Input::Hello(generation));
        b.pass(Duration::from_secs(1));
        b.lost(generation);
        let wait = b.link.poll_timeout().unwrap() - b.now.mono;
        waits.push(wait.as_secs_f64());
        b.pass(wait);
    }
    for (wait, want) in waits.iter().zip([0.25, 1.0, 3.0, 5.0, 10.0]) {
        assert!((want * 0.65..want * 1.51).contains(wait), "{waits:?}");
    }
    b.feed(Input::Hello(6));
    b.pass(Duration::from_secs(60));
    b.lost(6);
    assert!(b.link.poll_timeout().unwrap() - b.now.mono < Duration::from_secs_f64(0.376));
}

#[test]
fn a_failed_refresh_survives_a_clock_that_is_set_back_and_nothing_runs_in_circles() {
    let mut b = Bench::connected();
    b.pass(DAY.mul_f64(0.9) + Duration::from_secs(1));
    b.feed(Input::RefreshFailed { rejected: false });
    b.now.wall = b.now.wall.checked_sub(Duration::from_secs(3600)).unwrap();
    let mut woken = 0;
    let end = b.now.plus(Duration::from_secs(600));
    while let Some(due) = b.link.poll_timeout().filter(|due| *due <= end.mono) {
        b.now = b.now.plus(due.saturating_duration_since(b.now.mono));
        b.link.handle_timeout(b.now);
        b.collect();
        if b.refreshes() == 2 {
            break;
        }
        woken += 1;
        assert!(woken < 100, "a busy loop");
    }
    assert_eq!(b.refreshes(), 2, "tried again whatever the clock says");
}

#[test]
fn a_token_without_life_is_not_refreshed_at_network_speed() {
    let mut b = Bench::new();
    b.feed(Input::Wanted);
    b.token(Duration::ZERO);
    assert_eq!(b.refreshes(), 1);
    b.token(Duration::ZERO);
    assert_eq!(b.refreshes(), 1, "not at once again");
    b.pass(Duration::from_secs(11));
    assert_eq!(b.refreshes(), 2, "but it goes on");
}

#[test]
fn after_429_the_wait_starts_at_three_seconds() {
    let mut b = Bench::wanted();
    let reason = CloseReason::Status { status: 429, description: String::new() };
    b.feed(Input::Closed(1, reason));
    assert!(b.link.poll_timeout().unwrap() - b.now.mono >= Duration::from_secs_f64(1.97));
}

#[test]
fn a_401_leads_to_a_refresh_and_then_to_a_connection() {
    let mut b = Bench::wanted();
    let refused = || CloseReason::Status { status: 401, description: String::new() };
    b.feed(Input::Closed(1, refused()));
    assert_eq!(b.refreshes(), 1);
    b.pass(Duration::from_secs(60));
    assert_eq!(b.connects(), 1, "the old token is not tried again");
    b.token(DAY);
    assert_eq!(b.connects(), 2);
    b.feed(Input::Closed(2, refused()));
    b.token(DAY);
    assert_eq!(b.connects(), 2, "a fresh token that is refused waits its turn");
}

#[test]
fn an_event_refused_with_401_refreshes_and_keeps_the_connection() {
    let mut b = Bench::connected();
    b.feed(Input::TokenRejected);
    b.feed(Input::TokenRejected);
    assert_eq!(b.out, [Output::Refresh]);
    b.token(DAY);
    assert_eq!(b.link.state(), SessionState::Connected);
}

#[test]
fn a_pairing_that_is_gone_ends_in_unauthorized_until_a_new_one() {
    let mut b = Bench::connected();
    b.feed(Input::TokenRejected);
    b.feed(Input::RefreshFailed { rejected: true });
    assert_eq!(b.link.state(), SessionState::Unauthorized);
    assert!(b.out.contains(&Output::Disconnect { generation: 1 }));
    b.feed(Input::Closed(1, CloseReason::Requested));
    b.pass(DAY);
    assert_eq!(b.connects(), 0);
    b.token(DAY);
    assert_eq!(b.connects(), 1);
}

#[test]
fn a_refresh_that_fails_for_now_is_tried_again_and_disturbs_nothing() {
    let mut b = Bench::connected();
    b.pass(DAY.mul_f64(0.9) + Duration::from_secs(1));
    assert_eq!(b.refreshes(), 1);
    b.feed(Input::RefreshFailed { rejected: false });
    assert_eq!(b.link.state(), SessionState::Connected);
    b.pass(Duration::from_secs(16));
    assert_eq!(b.refreshes(), 2);
}

#[test]
fn a_token_is_refreshed_between_60_and_90_percent_of_its_life() {
    for seed in 0..50 {
        let mut b = Bench::new();
        b.link = Link::new(Policy::default(), seed);
        b.token(Duration::from_secs(1000));
        b.pass(Duration::from_secs(599));
        assert_eq!(b.refreshes(), 0);
        b.pass(Duration::from_secs(302));
        assert_eq!(b.refreshes(), 1);
    }
}

#[test]
fn an_expired_token_is_refreshed_before_anything_else() {
    let mut b = Bench::new();
    let ended = b.now.wall.checked_sub(Duration::from_secs(1)).unwrap();
    let issued_at = ended.checked_sub(DAY).unwrap();
    b.feed(Input::Token { issued_at, expires_at: ended });
    b.feed(Input::Wanted);
    assert_eq!((b.refreshes(), b.connects()), (1, 0));
    b.token(DAY);
    assert_eq!(b.connects(), 1);
}

#[test]
fn only_the_current_connections_end_counts() {
    let mut b = Bench::connected();
    b.lost(0);
    assert_eq!(b.link.state(), SessionState::Connected);
    b.feed(Input::OutOfStep);
    let reason = Some("about to connect again".to_owned());
    assert_eq!(
        b.out,
        [
            Output::Disconnect { generation: 1 },
            Output::State { state: SessionState::Disconnected, reason },
        ]
    );
    b.pass(Duration::from_secs(60));
    assert_eq!(b.connects(), 0, "the old connection has not ended yet");
    b.feed(Input::Closed(1, CloseReason::Requested));
    b.pass(Duration::from_secs(1));
    assert_eq!(b.connects(), 1);
}

#[test]
fn an_unwanted_session_is_closed_and_says_why() {
    let mut b = Bench::connected();
    b.feed(Input::Unwanted("appliance offline"));
    let reason = Some("appliance offline".to_owned());
    let state = SessionState::Disconnected;
    assert!(b.out.contains(&Output::State { state, reason }));
    b.feed(Input::Closed(1, CloseReason::Requested));
    b.pass(DAY / 2);
    assert_eq!(b.connects(), 0);
}

#[test]
fn there_is_never_more_than_one_connection() {
    for seed in 0..200 {
        let mut rng = SmallRng::seed_from_u64(seed);
        let mut b = Bench::wanted();
        let mut open: Option<u64> = None;
        for _ in 0..300 {
            for output in std::mem::take(&mut b.out) {
                if let Output::Connect { generation } = output {
                    assert_eq!(open, None, "seed {seed}");
                    open = Some(generation);
                }
            }
            match rng.random_range(0..10) {
                0 => b.feed(Input::Wanted),
                1 => b.feed(Input::Unwanted("x")),
                2 => b.token(Duration::from_secs(rng.random_range(1..2000))),
                3 => b.feed(Input::OutOfStep),
                4 => b.feed(Input::TokenRejected),
                5 => b.feed(Input::RefreshFailed { rejected: rng.random_bool(0.1) }),
                6 => b.pass(Duration::from_secs(rng.random_range(0..100))),
                7 => b.feed(Input::NetworkReturned),
                8 => open.iter().for_each(|generation| b.feed(Input::Hello(*generation))),
                _ => {
                    if let Some(generation) = open.take() {
                        b.lost(generation);
                    }
                }
            }
        }
    }
}
