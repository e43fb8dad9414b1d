//! Where in a large folder to list next, beside the page that comes next.
//!
//! S3 lists a folder in pages of 1,000 keys, each begun where the last one ended, one round trip after the other. But it
//! also lists what comes after any name. So the names of one page, first and last, are read as numbers, and the distance
//! between them tells where the pages behind it probably begin; those are asked for at the same time.
//!
//! It is a guess about names that are spread evenly, as counters, dates, hashes and UUIDs are. A wrong guess costs a request
//! that brings few entries, or a page that is followed by another; it never loses or repeats an entry, because each
//! request is read up to the beginning of the next one only.

/// How many characters count, from the first in which the two names differ: enough to tell the ends of a page of a thousand
/// names apart to a few hundredths.
const DIGITS: usize = 3;

/// How many count in all, with those before into which is carried. 62 to this power is below 2^63.
const CARRIED: usize = 8;

/// Characters that names count with, in the order of their bytes, the smallest alphabet first.
const ALPHABETS: [&[u8]; 6] = [
    b"0123456789",
    b"0123456789abcdef",
    b"0123456789ABCDEF",
    b"0123456789abcdefghijklmnopqrstuvwxyz",
    b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
];

/// Names that cut what comes behind a page into stretches of about nine tenths of a page: at most `most`, ascending, all
/// behind `last`. `names` are those of the page, of which `first` and `last` are the outermost. Empty where nothing can be
/// guessed.
pub fn cuts<'a>(first: &str, last: &str, names: impl IntoIterator<Item = &'a str>, most: usize) -> Vec<String> {
    guess(first.as_bytes(), last.as_bytes(), names, most).unwrap_or_default()
}

fn guess<'a>(first: &[u8], last: &[u8], names: impl IntoIterator<Item = &'a str>, most: usize) -> Option<Vec<String>> {
    let differ = first.iter().zip(last).take_while(|(one, other)| one == other).count();
    let end = differ + DIGITS;
    let alphabet = alphabet(names.into_iter().flat_map(|name| counting(name.as_bytes(), differ, end)))?;
    let base = u64::try_from(alphabet.len()).ok()?;
    let digit = |byte: &u8| alphabet.iter().position(|one| one == byte);
    // a counter that runs over counts on in the characters before
    let before = last.get(..differ)?.iter().rev().take_while(|byte| digit(byte).is_some()).count();
    let start = (differ - before).max(end.saturating_sub(CARRIED));
    let number = |name: &[u8]| {
        let digits = counting(name, start, end).map(|byte| digit(&byte).and_then(|digit| u64::try_from(digit).ok()));
        // what is missing counts as nothing: `7.txt` stands before `70.txt`
        let digits = digits.chain(std::iter::repeat(Some(0))).take(end - start);
        digits.into_iter().try_fold(0, |sum: u64, digit| Some(sum * base + digit?))
    };
    let (low, high) = (number(first)?, number(last)?);
    let stride = (high.checked_sub(low)? * 9 / 10).max(1);
    let limit = base.checked_pow(u32::try_from(end - start).ok()?)?;
    let fixed = std::str::from_utf8(last.get(..start)?).ok()?;
    let text = |mut number: u64| {
        let mut digits = vec![0; end - start];
        for place in digits.iter_mut().rev() {
            *place = *alphabet.get(usize::try_from(number % base).ok()?)?;
            number /= base;
        }
        Some(format!("{fixed}{}", std::str::from_utf8(&digits).ok()?))
    };
    let steps = 1..=u64::try_from(most).ok()?;
    steps.map_while(|step| high.checked_add(step.checked_mul(stride)?).filter(|cut| *cut < limit)).map(text).collect()
}

/// The smallest alphabet that holds all of them.
fn alphabet(bytes: impl Iterator<Item = u8>) -> Option<&'static [u8]> {
    let mut seen = [false; 256];
    for byte in bytes {
        *seen.get_mut(usize::from(byte))? = true;
    }
    let holds = |alphabet: &&[u8]| (0..=u8::MAX).zip(seen).all(|(byte, seen)| !seen || alphabet.contains(&byte));
    ALPHABETS.into_iter().find(holds)
}

/// The characters of a name that count: up to the first that stands before all digits, such as a dot.
fn counting(name: &[u8], start: usize, end: usize) -> impl Iterator<Item = u8> {
    let range = name.get(start..end.min(name.len())).unwrap_or_default();
    range.iter().copied().take_while(|byte| *byte >= b'0')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The cuts behind the first page of sorted names, and how many names lie between them.
    fn stretches(mut names: Vec<String>, page: usize, most: usize) -> (Vec<String>, Vec<usize>) {
        names.sort_unstable();
        let page = &names[..page];
        let cuts = cuts(&page[0], &page[page.len() - 1], page.iter().map(String::as_str), most);
        let behind = |cut: &String| names.partition_point(|name| name <= cut);
        let sizes = cuts.windows(2).map(|pair| behind(&pair[1]) - behind(&pair[0])).collect();
        (cuts, sizes)
    }

    #[test]
    fn counters_are_cut_into_pages() {
        let names = (0..100_000).map(|n| format!("file-{n:06}.txt")).collect();
        let (cuts, sizes) = stretches(names, 1000, 7);
        assert_eq!(cuts.first().unwrap(), "file-001898");
        assert!(cuts.len() == 7 && sizes.iter().all(|size| (800..=1000).contains(size)), "{cuts:?} {sizes:?}");
    }

    #[test]
    fn hashes_are_cut_into_pages() {
        let hash = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17).wrapping_mul(0xd6e8_feb8_6659_fd93);
        for names in [
            (0..50_000).map(|n| format!("{:016x}", hash(n))).collect::<Vec<_>>(),
            (0..50_000).map(|n| format!("IMG_{:016X}.jpg", hash(n))).collect(),
        ] {
            let (cuts, sizes) = stretches(names, 1000, 7);
            assert!(cuts.len() == 7 && sizes.iter().all(|size| (700..=1000).contains(size)), "{cuts:?} {sizes:?}");
        }
    }

    #[test]
    fn numbers_without_leading_zeros_and_dates_are_guessed_at() {
        let (cuts, _) = stretches((0..50_000).map(|n| format!("{n}.csv")).collect(), 1000, 7);
        assert_eq!(cuts.len(), 7);
        let days = (0..40_000).map(|n| format!("2026-{:02}-{:02} {:02}:{:02}", n % 12 + 1, n % 28 + 1, n % 24, n % 60));
        let (cuts, _) = stretches(days.collect(), 1000, 7);
        assert!(!cuts.is_empty());
    }

    #[test]
    fn a_counter_that_runs_over_carries_as_far_as_it_counts() {
        let numbered = |range: std::ops::Range<u32>| range.map(|n| format!("n{n:04}")).collect();
        assert_eq!(stretches(numbered(1990..2090), 10, 3).0, ["n200710", "n201520", "n202330"]);
        // `o…` is no counter
        assert_eq!(stretches(numbered(9980..10_000), 10, 3).0, ["n999710"]);
    }

    proptest! {
        #[test]
        fn cuts_ascend_and_lie_behind_the_page(mut names in prop::collection::btree_set("[ -~äß0-9a-f]{1,9}", 2..40), most in 0_usize..9) {
            let (first, last) = (names.pop_first().unwrap(), names.pop_last().unwrap_or_default());
            prop_assume!(first < last);
            let cuts = cuts(&first, &last, names.iter().map(String::as_str).chain([first.as_str(), last.as_str()]), most);
            prop_assert!(cuts.len() <= most);
            prop_assert!(cuts.is_sorted());
            for cut in cuts {
                prop_assert!(cut > last, "{first} {last} {cut}");
                prop_assert!(!cut.contains('/'));
            }
        }
    }
}
