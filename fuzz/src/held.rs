//! Requests that are held until they name their model: the backend gets what it would get of one that is not held.

use inferometer::proxy::reading::{held, requests};

/// Runs the target `held`: the size of the pieces, how many blocks of 64 bytes are held at most (0: all), and a client's
/// bytes. The backend gets what it would get of a request that is not held, and what is held has a limit. Gives how many
/// bytes the backend gets.
pub fn held_request(input: &[u8]) -> usize {
    let [piece, most, stream @ ..] = input else { return 0 };
    let piece = usize::from(*piece).max(1);
    let most = if *most == 0 { u64::MAX } else { u64::from(*most) * 64 };
    let whole = held(stream, usize::MAX, u64::MAX);
    let plain = requests(stream).into_iter().next().map(|message| message.written);
    for (piece, most) in [(piece, most), (1, most), (piece, u64::MAX), (usize::MAX, u64::MAX)] {
        let Some(held) = held(stream, piece, most) else {
            assert!(plain.is_none(), "what can be forwarded is placed, in pieces of {piece}");
            continue;
        };
        assert_eq!(held.is_whole, whole.as_ref().is_some_and(|whole| whole.is_whole), "in pieces of {piece}");
        // A piece that breaks the framing of a body is held back as a whole.
        if held.is_whole {
            assert_eq!(Some(&held.written), plain.as_ref(), "in pieces of {piece}, {most} bytes held");
        }
        assert!(held.most_held <= most.saturating_add(piece as u64), "{} bytes were held", held.most_held);
        let is_same = whole.as_ref().is_some_and(|whole| whole.model == held.model) || held.is_too_long;
        assert!(is_same || is_named_on_the_way(&held.model, stream), "{:?} was never the model", held.model);
    }
    plain.map_or(0, |written| written.len())
}

/// Whether some beginning of a client's bytes names this model: of fields of one name the last counts, so a body may name
/// several models on its way.
fn is_named_on_the_way(model: &Option<String>, stream: &[u8]) -> bool {
    let mut beginnings = (0..stream.len()).map(|end| held(&stream[..end], usize::MAX, u64::MAX));
    beginnings.any(|held| held.is_some_and(|held| held.model == *model))
}
