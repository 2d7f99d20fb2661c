use crate::desk::{Desk, MOUNT, OTHER, locked, wrong};
use crate::lab::good;
use coffer_types::Operation;
use std::future::{Future as _, poll_fn};
use std::sync::Arc;
use std::task::Poll;

/// Spellings that reach a handler as the same name, or not at all.
fn spellings() -> impl Iterator<Item = String> {
    (0..8_u32).map(|bits| {
        "bob"
            .char_indices()
            .map(|(at, letter)| if bits >> at & 1 == 1 { letter.to_ascii_uppercase() } else { letter })
            .collect()
    })
}

#[tokio::test]
async fn five_failures_lock_a_name_for_a_quarter_of_an_hour() {
    let desk = Desk::new().await;
    for _ in 0..5 {
        assert_eq!(desk.fails("bob", "no").await, wrong());
    }
    assert_eq!(desk.fails("bob", "right").await, locked(), "the right password is not looked at");
    desk.turn_seconds(899);
    assert_eq!(desk.fails("bob", "right").await, locked());
    desk.turn_seconds(1);
    good(desk.login("bob", "right").await);
}

#[tokio::test]
async fn failures_over_many_spellings_count_as_one_name() {
    let desk = Desk::new().await;
    for name in spellings().take(5) {
        assert_eq!(desk.fails(&name, "no").await, wrong(), "{name}");
    }
    for name in spellings() {
        assert_eq!(desk.fails(&name, "right").await, locked(), "{name}");
    }
}

#[tokio::test]
async fn a_spelling_that_is_no_name_is_refused_before_it_is_tried() {
    let desk = Desk::new().await;
    for name in
        [" bob", "bob ", "b ob", "bob.", "-bob", "b\u{f6}b", "b\u{ff4f}b", "b\u{43e}b", "bob%00", "bob+"]
    {
        let (status, sentence) = desk.fails(name, "right").await;
        assert_eq!(status, 400, "{name:?}");
        assert!(sentence.starts_with("a user's name has"), "{name:?}");
    }
    good(desk.login("bob", "right").await);
}

#[tokio::test]
async fn an_unknown_name_is_locked_as_a_known_one() {
    let desk = Desk::new().await;
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for _ in 0..8 {
        known.push(desk.fails("bob", "no").await);
        unknown.push(desk.fails("nobody", "no").await);
    }
    assert_eq!(known, unknown);
    assert_eq!(known[7], locked());
}

#[tokio::test]
async fn a_name_that_is_made_or_deleted_stays_locked() {
    let desk = Desk::new().await;
    for _ in 0..5 {
        desk.fails("bob", "no").await;
        desk.fails("late", "no").await;
    }
    desk.user("late", r#"{"password":"p"}"#).await;
    assert_eq!(desk.fails("late", "p").await, locked());
    good(desk.ask_at(MOUNT, Operation::Delete, "users/bob", "").await);
    assert_eq!(desk.fails("bob", "right").await, locked());
}

#[tokio::test]
async fn a_success_begins_the_count_anew_and_old_failures_are_forgotten() {
    let desk = Desk::new().await;
    for _ in 0..3 {
        for _ in 0..4 {
            assert_eq!(desk.fails("bob", "no").await, wrong());
        }
        good(desk.login("bob", "right").await);
    }
    for _ in 0..12 {
        assert_eq!(desk.fails("bob", "no").await, wrong());
        desk.turn_seconds(226);
    }
    good(desk.login("bob", "right").await);
}

#[tokio::test]
async fn a_lock_is_of_one_mount_and_one_environment() {
    let desk = Desk::new().await;
    let body = r#"{"password":"right"}"#;
    good(desk.ask_at(OTHER, Operation::Write, "users/bob", body).await);
    for _ in 0..5 {
        desk.fails("bob", "no").await;
    }
    assert_eq!(desk.fails("bob", "right").await, locked());
    good(desk.ask_at(OTHER, Operation::Write, "login/bob", body).await);
    let mut neighbour = Desk::new().await;
    neighbour.lab = desk.lab.neighbour();
    neighbour.user("bob", body).await;
    let answer = neighbour.fails("bob", "no").await;
    assert_eq!(answer, wrong());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn guesses_sent_side_by_side_get_no_more_than_five() {
    let desk = Arc::new(Desk::new().await);
    let tries: Vec<_> = (0..40)
        .map(|at| {
            let desk = Arc::clone(&desk);
            let name: String = spellings().nth(at % 8).unwrap();
            tokio::spawn(async move { desk.fails(&name, &format!("guess {at}")).await })
        })
        .collect();
    let mut judged = 0;
    for attempt in tries {
        judged += usize::from(attempt.await.unwrap() == wrong());
    }
    assert_eq!(judged, 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn right_passwords_sent_side_by_side_all_log_in() {
    let desk = Arc::new(Desk::new().await);
    let logins: Vec<_> = (0..20)
        .map(|_| {
            let desk = Arc::clone(&desk);
            tokio::spawn(async move { desk.login("bob", "right").await.is_ok() })
        })
        .collect();
    for login in logins {
        assert!(login.await.unwrap());
    }
}

#[tokio::test]
async fn whoever_hangs_up_while_a_guess_is_judged_has_it_counted() {
    let desk = Desk::new().await;
    // Where another test holds the place, the guess is given up before it is judged: then once more.
    for _ in 0..50 {
        for _ in 0..4 {
            assert_eq!(desk.fails("bob", "no").await, wrong());
        }
        let mut guess = Box::pin(desk.login("bob", "no"));
        let is_waiting = poll_fn(|context| Poll::Ready(guess.as_mut().poll(context).is_pending())).await;
        assert!(is_waiting, "judged elsewhere");
        drop(guess);
        // The name's turn comes when that work has ended.
        if desk.fails("bob", "no").await == locked() {
            return;
        }
        desk.turn_seconds(900);
    }
    panic!("never counted");
}

#[tokio::test]
async fn more_logins_than_may_wait_are_told_to_come_back() {
    let desk = Arc::new(Desk::new().await);
    let attempts: Vec<_> = (0..400)
        .map(|_| {
            let desk = Arc::clone(&desk);
            tokio::spawn(async move { desk.fails("bob", "no").await })
        })
        .collect();
    let (mut judged, mut sent_away) = (0, 0);
    for attempt in attempts {
        match attempt.await.unwrap() {
            (503, sentence) => {
                assert_eq!(sentence, "too many logins at once; try again");
                sent_away += 1;
            }
            answer => judged += usize::from(answer == wrong()),
        }
    }
    assert_eq!(judged, 5);
    assert!((1..=400 - 256).contains(&sent_away), "{sent_away}");
}
