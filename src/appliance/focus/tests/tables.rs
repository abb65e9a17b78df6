//! Every cell of table 7.1, every row of table 7.2.

use super::{
    super::{Attention, Channel, notifications::NOTIFICATION_TIME},
    world::{World, shown},
};

/// Table 7.1 as the guide has it: what plays, and what new sound comes.
const TABLE: &str = "
    | Playing          | Alert      | Content    | Dialogue   | Feedback   | Notification                            | Button sound |
    | **Alert**        | cancel     | background | background | background | background                              | mix |
    | **Content**      | background | cancel     | background | background | background                              | mix |
    | **Dialogue**     | background | background | cancel     | background | background                              | mix |
    | **Feedback**     | background | background | background | cancel     | background                              | mix |
    | **Notification** | background | background | background | background | keep playing, queue the new one         | mix |
";

fn channel(name: &str) -> Option<Channel> {
    let name = name.trim_matches('*').to_lowercase();
    Channel::ALL.into_iter().find(|channel| channel.as_str() == name)
}

/// Row, column and word of each cell.
fn cells() -> Vec<(String, String, String)> {
    let lines = TABLE.lines().map(str::trim).filter(|line| !line.is_empty());
    let mut rows = lines.map(|line| {
        line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>()
    });
    let head = rows.next().unwrap();
    let cells = rows.flat_map(|row| {
        let columns = head.iter().skip(1).zip(row.iter().skip(1));
        let cells = columns.map(|(column, word)| (row[0].clone(), column.clone(), word.clone()));
        cells.collect::<Vec<_>>()
    });
    cells.collect()
}

#[test]
fn every_cell_of_the_guides_table_holds() {
    let (mut ours, mut others) = (0, 0);
    for (playing, new, word) in cells() {
        match (channel(&playing), channel(&new)) {
            (Some(playing), Some(new)) => {
                meet(playing, new, &word);
                ours += 1;
            }
            // The appliance's own sounds have no channel: nobody can say that they begin.
            _ => others += 1,
        }
    }
    assert_eq!((ours, others), (16, 14));
}

fn meet(playing: Channel, new: Channel, word: &str) {
    let mut w = World::new();
    w.start(playing, "old");
    w.seen();
    w.start(new, "new");
    let (old_name, new_name) = (playing.as_str(), new.as_str());
    let seen = w.seen();
    match word {
        "background" => {
            let mut places = [format!("{old_name}-"), new_name.to_owned()];
            places.sort_by_key(|p| Channel::ALL.iter().position(|c| p.starts_with(c.as_str())));
            assert_eq!(seen[0], format!("[{}]", places.join(" ")), "{old_name} {new_name}");
        }
        "cancel" if playing == Channel::Alert => {
            assert_eq!(seen, ["hush old"], "the newest sounds, both stay");
            assert_eq!(w.focus.sounds().len(), 2);
            assert_eq!(shown(&w.focus.places()), "alert");
        }
        "cancel" => {
            assert_eq!(seen, [format!("cancel {new_name} old")]);
            assert_eq!(w.focus.sounds().len(), 1);
            assert_eq!(shown(&w.focus.places()), new_name);
        }
        "keep playing, queue the new one" => {
            assert!(seen.is_empty());
            w.pass(NOTIFICATION_TIME);
            w.saw(&["deliver new"]);
        }
        _ => panic!("{word}"),
    }
}

#[test]
fn from_attending_to_processing_whatever_plays_is_in_the_background() {
    for channel in Channel::ALL {
        let mut w = World::new();
        w.start(channel, "a");
        w.seen();
        let behind = format!("[{}-]", channel.as_str());
        w.attend(Attention::Listening);
        w.saw(&[&behind]);
        w.attend(Attention::Processing);
        w.saw(&[]);
    }
}

#[test]
fn a_typed_request_has_the_background_too() {
    let mut w = World::new();
    w.start(Channel::Content, "a");
    w.attend(Attention::Processing);
    w.saw(&["[content-]"]);
}

#[test]
fn a_time_out_of_the_input_or_a_failed_request_brings_back_what_was_in_front() {
    for before in [Attention::Listening, Attention::Processing] {
        let mut w = World::new();
        w.start(Channel::Content, "a");
        w.start(Channel::Alert, "b");
        w.attend(before);
        w.seen();
        w.attend(Attention::Idle);
        w.saw(&["[alert content-]"]);
    }
}

#[test]
fn the_sound_of_an_answer_takes_its_place_by_the_table() {
    for (answer, wanted) in
        [(Channel::Dialogue, "dialogue content-"), (Channel::Alert, "alert content-")]
    {
        let mut w = World::new();
        w.start(Channel::Content, "a");
        w.attend(Attention::Listening);
        w.attend(Attention::Processing);
        w.seen();
        w.start(answer, "b");
        w.saw(&[&format!("[{wanted}]")]);
    }
}

#[test]
fn in_a_further_turn_the_same_rules_hold() {
    let mut w = World::new();
    w.start(Channel::Content, "music");
    w.attend(Attention::Listening);
    w.attend(Attention::Processing);
    w.start(Channel::Dialogue, "question");
    w.attend(Attention::Speaking);
    w.saw(&["[dialogue content-]"]);
    w.end(Channel::Dialogue, "question");
    w.attend(Attention::Listening);
    w.saw(&["[content-]"]);
    w.attend(Attention::Processing);
    w.start(Channel::Dialogue, "answer");
    w.saw(&["[dialogue content-]"]);
}

#[test]
fn a_new_alert_dialogue_or_content_ends_listening_and_plays() {
    for channel in [Channel::Alert, Channel::Dialogue, Channel::Content] {
        let mut w = World::new();
        w.attend(Attention::Listening);
        w.start(channel, "a");
        w.saw(&["cancel capture", &format!("[{}]", channel.as_str())]);
        w.attend(Attention::Idle);
        w.saw(&[]);
    }
}

#[test]
fn while_clova_works_nothing_is_cancelled() {
    for attention in [Attention::Processing, Attention::Speaking, Attention::Idle] {
        for channel in Channel::ALL {
            let mut w = World::new();
            w.attend(attention);
            w.start(channel, "a");
            assert_eq!(w.seen()[0], format!("[{}]", channel.as_str()));
        }
    }
}

#[test]
fn a_notification_while_the_user_is_heard_plays_in_the_background() {
    let mut w = World::new();
    w.attend(Attention::Listening);
    w.start(Channel::Notification, "a");
    w.saw(&["[notification-]", "deliver a"]);
    w.attend(Attention::Processing);
    w.saw(&[]);
    w.attend(Attention::Idle);
    w.saw(&["[notification]"]);
}
