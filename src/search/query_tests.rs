use super::*;

fn parse(text: &str) -> Result<Query, QueryError> {
    Query::parse(text, Style::default(), Fields::EVERYWHERE, "2026-11-22T14:03:12Z".parse().unwrap())
}

fn header() -> Header {
    Header { user: "alice".into(), host: "web-3".into(), target: "root".into(), ..Header::default() }
}

/// The truth of a query whose texts are true when they are in `line`.
fn holds(query: &str, line: &str) -> Option<bool> {
    let query = parse(query).unwrap_or_else(|error| panic!("{query}: {error}"));
    let terms: Vec<Option<bool>> = query.terms().iter().map(|term| Some(term.pattern.is_in(line))).collect();
    query.truth(Facts::Header(&header()), &terms)
}

#[test]
fn texts_and_conditions_combine() {
    for (query, line, answer) in [
        ("foo", "a foo b", true),
        ("foo bar", "foo only", false),
        ("foo and bar", "bar foo", true),
        ("foo or bar", "bar", true),
        ("foo or bar baz", "foo", true),
        ("(foo or bar) baz", "foo", false),
        ("not foo", "foo", false),
        ("not not foo", "foo", true),
        ("foo user:alice host:web-*", "foo", true),
        ("foo not user:alice", "foo", false),
        ("screen:\"foo bar\"", "x foo bar", true),
        ("\"and\" or or_", "and", true),
        ("/fo+ [a-z]ar/", "fooo bar", true),
        ("/etc/passwd", "cat /etc/passwd", true),
        (r#""say \"hi\" \d""#, r#"say "hi" \d"#, true),
        (r"/a\/b\d/", "a/b7", true),
    ] {
        assert_eq!(holds(query, line), Some(answer), "{query}");
    }
}

#[test]
fn what_is_not_known_yet_is_decided_only_where_it_makes_no_difference() {
    let open = |text: &str| {
        let query = parse(text).unwrap();
        query.truth(Facts::Header(&header()), &vec![None; query.terms().len()])
    };
    assert_eq!(open("foo"), None);
    assert_eq!(open("foo user:bob"), Some(false));
    assert_eq!(open("foo or user:alice"), Some(true));
    assert_eq!(open("not foo"), None);
    assert_eq!(open("ticket:OPS-1"), None);
    assert_eq!(open("ticket:OPS-1 and user:bob"), Some(false));
}

#[test]
fn hits_are_told_of_texts_that_are_not_under_a_not() {
    let told = |text: &str| parse(text).unwrap().terms().iter().map(|t| t.told).collect::<Vec<_>>();
    assert_eq!(told("a and not (b or not c)"), [true, false, true]);
}

#[test]
fn errors_point_at_the_place() {
    for (query, at, what) in [
        ("", 0..0, "the query ends where"),
        ("foo and", 7..7, "the query ends where"),
        ("foo and or bar", 8..10, "a text or a condition should stand here"),
        ("(foo", 0..1, "this is never closed"),
        ("foo)", 3..4, "nothing that this closes"),
        ("foo \"bar", 4..5, "this quote is never closed"),
        ("foo colour:red", 4..10, "neither a field nor a condition"),
        ("screen:/a(b/", 9..10, "no regular expression"),
        ("foo since:tomorrow", 10..18, "not a time"),
        ("foo exit:one", 9..12, "an exit status is a number"),
        ("screen:", 7..7, "the pattern is empty"),
        ("user:/x/", 6..7, "no regular expression"),
    ] {
        let error = parse(query).unwrap_err();
        assert_eq!(error.at, at, "{query}: {error}");
        assert!(error.what.contains(what), "{query}: {error}");
        assert_eq!(error.text, query);
    }
}

#[test]
fn hostile_queries_are_refused() {
    assert!(parse(&"(".repeat(1000)).unwrap_err().what.contains("nested deeper"));
    assert!(parse(&"not ".repeat(1000)).unwrap_err().what.contains("nested deeper"));
    assert!(parse(&"a ".repeat(1000)).unwrap_err().what.contains("more than 256"));
    assert!(parse(&"a".repeat(1 << 20)).unwrap_err().what.contains("bytes long"));
}

#[test]
fn a_command_is_what_somebody_or_something_ran() {
    let query = parse("command:sed exec:vim").unwrap();
    let fields: Vec<Fields> = query.terms().iter().map(|term| term.fields).collect();
    assert_eq!(fields, [Fields::of(&[Field::Command, Field::Exec]), Fields::of(&[Field::Exec])]);
}

#[test]
fn an_entry_that_may_have_letters_by_their_numbers_is_read() {
    let asks = parse("exec:shred").unwrap().asks_for();
    for (json, read) in [
        (r#"{"text":["shred -u x"]}"#, true),
        (r#"{"text":["ls"]}"#, false),
        (r#"{"text":["\u0073\u0068\u0072\u0065\u0064 -u x"]}"#, true),
        (r#"{"text":["s\u0068red"]}"#, true),
        // It counts as an s.
        (r#"{"text":["\u017fhred"]}"#, true),
        (r#"{"flags":[[0,["\u0063ut:9"]]]}"#, true),
        // These our own writer has as well.
        (r#"{"text":["printf '\u001b[1m\n\t\u0000'"]}"#, false),
    ] {
        assert_eq!(asks(json.as_bytes()), read, "{json}");
    }
    // Who asks nothing of commands need not read them.
    assert!(!parse("screen:shred").unwrap().asks_for()(br#"{"text":["\u0073hred"]}"#));
}

#[test]
fn fields_are_named() {
    let fields = Fields::parse("screen, exec").unwrap();
    assert!(fields.has(Field::Screen) && fields.has(Field::Exec) && !fields.has(Field::Input));
    assert!(Fields::parse("screen,everything").unwrap_err().contains("`everything`"));
    assert!(Field::ALL.into_iter().all(|field| Fields::EVERYWHERE.has(field)));
}

proptest::proptest! {
    #[test]
    fn no_query_panics_and_every_place_is_inside(text in "(\\PC|[()\"/:\\\\ ]|and |or |not |user:|screen:){0,30}") {
        if let Err(error) = parse(&text) {
            proptest::prop_assert!(error.text.get(error.at.clone()).is_some(), "{error:?}");
            error.place();
        }
    }
}
