//! The static tables of wanted values.

/// What is wanted of a value. `F` is the dialect's name for the field.
#[derive(Debug)]
pub(crate) enum Want<F: 'static> {
    /// Members of an object.
    Object(&'static Object<F>),
    /// The same of every element of an array; the end of each is visited as
    /// [`Value::Ended`](super::value::Value::Ended).
    Each(F, &'static Want<F>),
    /// A short string.
    Text(F),
    /// A short string; of anything else, the nested want.
    TextOr(F, &'static Want<F>),
    /// A whole number.
    Count(F),
    /// A number.
    Quantity(F),
    /// A boolean.
    Flag(F),
    /// Whether a string, array or object is not empty. Its content is never kept.
    Present(F),
    /// As [`Want::Present`] of a string; of an array or object, the nested want.
    PresentOr(F, &'static Want<F>),
    /// As [`Want::Present`], and `true` or a number other than zero count too.
    Truthy(F),
    /// The number of elements of an array.
    Length(F),
    /// The number of characters of a string, approximately: half a surrogate pair counts as one. Of an array or object,
    /// the nested want; a number or word is ignored.
    Measured(F, &'static Want<F>),
}

/// The wanted members of an object, in a perfect hash table that is computed at compile time.
#[derive(Debug)]
pub(crate) struct Object<F: 'static> {
    members: &'static [(&'static str, Want<F>)],
    seed: u32,
    /// Position in `members` plus one; zero is empty.
    slots: [u8; SLOTS],
    fold: bool,
}

const SLOTS: usize = 64;

impl<F> Object<F> {
    /// Does not terminate, and so fails to compile, where no hash without collisions exists.
    pub(crate) const fn new(members: &'static [(&'static str, Want<F>)]) -> Self {
        let mut seed = 0x9E37_79B1_u32;
        loop {
            if let Some(slots) = Self::arrange(members, seed) {
                return Self { members, seed, slots, fold: false };
            }
            seed = seed.wrapping_mul(0x2C1B_3C6D).wrapping_add(0x9E37_79B2) | 1;
        }
    }

    /// As [`Object::new`], but keys are compared without case (ASCII). The names must be in lower case.
    pub(crate) const fn ignoring_case(members: &'static [(&'static str, Want<F>)]) -> Self {
        let mut object = Self::new(members);
        object.fold = true;
        object
    }

    const fn arrange(members: &'static [(&'static str, Want<F>)], seed: u32) -> Option<[u8; SLOTS]> {
        assert!(members.len() < SLOTS, "too many members");
        let mut slots = [0; SLOTS];
        let mut at = 0;
        while at < members.len() {
            let slot = slot(members[at].0.as_bytes(), seed);
            if slots[slot] != 0 {
                return None;
            }
            at += 1;
            slots[slot] = at as u8;
        }
        Some(slots)
    }

    /// `None` where the member with this key is not wanted.
    #[inline]
    pub(crate) fn find(&'static self, key: &[u8]) -> Option<&'static Want<F>> {
        if key.is_empty() {
            return None;
        }
        let position = self.slots[slot(key, self.seed)];
        let (name, want) = self.members.get(usize::from(position).wrapping_sub(1))?;
        let name = name.as_bytes();
        // Names come in lower case even where their case does not matter.
        let same = are_same(name, key) || (self.fold && name.eq_ignore_ascii_case(key));
        same.then_some(want)
    }
}

/// Whether two names are the same. They are short: comparing their first and last bytes, which may overlap, costs less than
/// a `memcmp` call.
#[inline]
fn are_same(name: &[u8], key: &[u8]) -> bool {
    if name.len() != key.len() {
        return false;
    }
    match name.len() {
        0..=3 => name.iter().zip(key).all(|(one, other)| one == other),
        4..=7 => ends_are_same::<4>(name, key),
        8..=15 => ends_are_same::<8>(name, key),
        16..=32 => ends_are_same::<16>(name, key),
        _ => name == key,
    }
}

#[inline]
fn ends_are_same<const LEN: usize>(name: &[u8], key: &[u8]) -> bool {
    name.first_chunk::<LEN>() == key.first_chunk() && name.last_chunk::<LEN>() == key.last_chunk()
}

/// Ignores case, so that one table serves both ways of comparing. The key is not empty.
#[inline]
const fn slot(key: &[u8], seed: u32) -> usize {
    let len = key.len();
    let word = (key[0] | 0x20) as u32
        | ((key[len - 1] | 0x20) as u32) << 8
        | ((key[len / 2] | 0x20) as u32) << 16
        | (len as u32) << 24;
    (word.wrapping_mul(seed) >> 26) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    static PLAIN: Object<u8> =
        Object::new(&[("model", Want::Text(1)), ("done", Want::Flag(2)), ("data", Want::Text(3))]);
    static FOLDED: Object<u8> = Object::ignoring_case(&[("model", Want::Text(1)), ("name", Want::Text(2))]);

    fn field(want: Option<&Want<u8>>) -> Option<u8> {
        match want? {
            Want::Text(field) | Want::Flag(field) => Some(*field),
            _ => None,
        }
    }

    #[test]
    fn members_are_found_by_their_exact_key_and_nothing_else_is() {
        assert_eq!(field(PLAIN.find(b"model")), Some(1));
        assert_eq!(field(PLAIN.find(b"done")), Some(2));
        assert_eq!(field(PLAIN.find(b"data")), Some(3));
        for other in ["Model", "mode", "modem", "", "m", "models", "DONE"] {
            assert_eq!(field(PLAIN.find(other.as_bytes())), None, "{other}");
        }
    }

    #[test]
    fn names_of_every_length_differ_by_any_byte() {
        for length in 1..40 {
            let name: Vec<u8> = (0..length).collect();
            assert!(are_same(&name, &name.clone()) && !are_same(&name, &name[1..]));
            for at in 0..name.len() {
                let mut other = name.clone();
                other[at] ^= 0x80;
                assert!(!are_same(&name, &other), "{length} {at}");
            }
        }
    }

    #[test]
    fn case_is_ignored_where_asked_for() {
        for key in ["model", "Model", "MODEL", "mOdEl"] {
            assert_eq!(field(FOLDED.find(key.as_bytes())), Some(1), "{key}");
        }
        assert_eq!(field(FOLDED.find(b"NAME")), Some(2));
        assert_eq!(field(FOLDED.find(b"m\x0fdel")), None);
    }
}
