//! What is read by us and by kubectl. Nothing here is decided: only documents, and the differences that are known.

use hcp_identity::finding::Reason;

/// In front of every scalar once.
pub(crate) const TAGS: [&str; 11] = [
    "",
    "!!str ",
    "!!int ",
    "!!float ",
    "!!bool ",
    "!!null ",
    "!!unheard-of ",
    "!foo ",
    "! ",
    "!<tag:yaml.org,2002:int> ",
    "!!merge ",
];

/// Scalars, tried plain and in both kinds of quotes.
#[rustfmt::skip]
pub(crate) const SCALARS: &[&str] = &[
    // Booleans and nulls, and what almost is one.
    "y", "Y", "yes", "Yes", "YES", "yEs", "yES", "n", "N", "no", "No", "NO", "nO", "on", "On", "ON", "oN", "off", "Off",
    "OFF", "oFF", "true", "True", "TRUE", "tRUE", "t", "T", "false", "False", "FALSE", "fALSE", "f", "F", "~", "null",
    "Null", "NULL", "nULL", "nil", "none", "", "~x", "yes!", "o", "O",
    // Integers of all bases.
    "0", "00", "-0", "+0", "7", "+7", "-7", "007", "0644", "-0644", "+0644", "08", "09", "-08", "0o17", "0O17", "-0o17",
    "+0o17", "0o18", "0o", "0x1F", "0X1f", "-0x1F", "+0x1F", "0xfg", "0x", "-0x", "0b11", "0B11", "-0b11", "+0b11",
    "0b12", "0b", "-0b", "0b-11", "0b+11", "-0b-11", "-0b+11", "+0b-11", "0B-11", "0x-1", "0o-7", "0-7", "--1", "+-1",
    "++1", "- 1", "1 2", "1,000", "1_000", "1__0", "_1", "1_", "0_7", "0x_f", "0_x1", "-_1", "+_0x1", "0b_1", "0_b1", "_",
    "__", "-_", "0_", "1_.5", "1._5", "1e_5", ".5_0", "._5", "0x1p4", "0x1.8p1", "١", "1１",
    // The bounds of i64, u64 and f64.
    "9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809", "+9223372036854775807",
    "+9223372036854775808", "18446744073709551615", "18446744073709551616", "+18446744073709551615",
    "-18446744073709551615", "0xffffffffffffffff", "0x10000000000000000", "-0x8000000000000000", "-0x8000000000000001",
    "01777777777777777777777", "02000000000000000000000", "0b1111111111111111111111111111111111111111111111111111111111111111",
    "0b11111111111111111111111111111111111111111111111111111111111111111", "9007199254740993", "9007199254740993.0",
    "4611686018427387904.0", "123456789012345678901234567890", "1e308", "1e309", "-1e400", "1e-400", "4.9e-324",
    "2.2250738585072014e-308", "1.7976931348623157e308", "0.1", "0.30000000000000004", "123456789.123456789",
    // Floats.
    "1.5", "-1.5", "+1.5", "1.", "-1.", ".5", "-.5", "+.5", ".", "-.", "..", "...x", "5.e1", ".5e1", ".e1", "1e3", "1E3",
    "1e+3", "1e-3", "1e", "e1", "1e1e1", "1.2.3", "1.0", "-0.0", "00.5", "08.5", "1e3.5", "1f", "1.5f", "1d", "Infinity",
    "inf", "-inf", "nan", "NaN", "infinity", ".infinity", ".inf", ".Inf", ".INF", ".iNF", "+.inf", "-.inf", "-.Inf",
    "+.INF", ".nan", ".NaN", ".NAN", ".Nan", "+.nan", "-.nan", "5.0e0", "1e21", "1e20", "100000000000000000000.0",
    // Times, versions, and other text that starts like a number.
    "1:30", "190:20:30", "190:20:30.15", "-1:30", "12:30:45", "2024-01-01", "2024-1-1", "2024-13-45", "2024-01-01T00:00:00Z",
    "2024-01-01t00:00:00.5+01:00", "2024-01-01 00:00:00", "2024-01-01 00:00:00 -5", "2024-", "20240101", "2024_01_01",
    "4.18", "4.18.0", "v4.18", "1.20", "4.10", "1.2.3-rc.1", "1.24+", "10.0.0.0/16", "::1", "fe80::1", "10m", "1Gi", "0.5",
    "1e3Mi", "00000000-0000-0000-0000-000000000000", "12345678-1234-1234-1234-123456789012", "1e10-abc", "0e0", "0e1", "6e8",
    "123e4567", "12e34567", "5e-1", "deadbeef", "0xdeadbeef", "sha256:0123", "a: b", "a:b", "a #b", "a#b", "#a", "<<", "=",
    "/a/b", "a\tb", "%a", "@a", "`a", "*", "*a", "&a", "&a b", "!", "!a", "|", ">", "- a", "-a", "? a", "?a", "?", ":", ":a",
    "-", "--", "---", "-- -", ",", ",a", "]", "}", "[", "{", "[]", "{}", "[1, yes, ~]", "{a: 1, b: no}", "{a, b}", "[a: 1]",
    "\"", "'", "a'b", "a\"b", "'a''b'", "\"a\\\"b\"", "\"a\" b", "é", "😀", "\u{a0}5", "5\u{a0}", "5 # five", "5#",
];

/// Documents; each is read on its own.
#[rustfmt::skip]
pub(crate) const DOCUMENTS: &[&str] = &[
    // Anchors and aliases.
    "a: &x 1\nb: *x\n", "a: &x\nb: *x\n", "a: &x [1, {b: &y 2}]\nb: [*x, *y]\n", "a: &x 1\nb: &x 2\nc: *x\n",
    "&a a: &b b\n*b : *a\n", "a: &x {b: 1}\nc: *x\n", "&x a: *x\n", "a: *x\nb: &x 1\n", "a: &x [*x]\n",
    "- &x a\n- *x\n- {*x : 1}\n", "a: &x !!str 5\nb: *x\n", "a: !!str &x 5\nb: *x\n", "&r a: 1\n", "--- &r\na: 1\n",
    "a: &x |\n  t\nb: *x\n", "a: &x\n  b: 1\nc: *x\n", "a: &x\n- 1\nc: *x\n", "a: &0 1\nb: *0\n", "a: &x 1\n---\n",
    // Merge keys.
    "x: &x {a: 1, b: 2}\ny: {<<: *x, a: 3}\n", "x: &x {a: 1, b: 2}\ny: {a: 3, <<: *x}\n",
    "x: &x {a: 1}\ny: {<<: *x, <<: {a: 2, c: 3}}\n", "x: &x {a: 1}\nz: &z {a: 2, b: 2}\ny: {<<: [*x, *z], c: 3}\n",
    "y: {<<: [{a: 1}, {a: 2}, {b: 3}]}\n", "x: &x {<<: {a: 1}, b: 2}\ny: {<<: *x}\n", "y: {<<: []}\n", "y: {<<: {}}\n",
    "y: {<<: ~}\n", "y: {<<: 1}\n", "y: {<<: [1]}\n", "y: {<<: [[{a: 1}]]}\n", "y: {<<: }\n",
    "x: &x [{a: 1}]\ny: {<<: *x}\n", "x: &x [{a: 1}]\ny: {<<: [*x]}\n", "x: &x 1\ny: {<<: *x}\n",
    "y: {'<<': {a: 1}}\n", "y: {\"<<\": 1}\n", "y: {!!merge <<: {a: 1}}\n", "y:\n  !!merge <<: {a: 1}\n  b: 2\n",
    "y: {!!merge '<<': {a: 1}}\n", "y: {!!str <<: {a: 1}}\n", "y: {!foo <<: {a: 1}}\n", "y: {&m <<: {a: 1}}\n",
    "m: &m <<\ny: {*m : {a: 1}}\n", "<<: {a: {b: 1}}\na: {c: 2}\n", "a: {c: 2}\n<<: {a: {b: 1}}\n",
    "<<: {a: 1}\na: 2\n<<: {a: 3}\n", "<<: {a: ~}\na: 2\n", "a: 2\n<<: {a: ~}\n", "<<: {1: a, yes: b}\n", "v: <<\n",
    "- <<\n", "? <<\n: {a: 1}\n", "<<: !!map {a: 1}\n",
    // Keys that are no strings.
    "1: a\n", "0x10: a\n", "-1: a\n", "010: a\n", "1_0: a\n", "yes: a\noff: b\n", "true: a\n",
    "9223372036854775807: a\n", "9223372036854775808: a\n", "~: a\n", "null: a\n", ": a\n", "? a\n", "{: a}\n",
    "[a]: b\n", "{a: b}: c\n", "? [a]\n: b\n", "? {a: 1}\n: b\n", "? |\n  a\n: b\n", "? a\n  b\n: c\n",
    "2024-01-01: a\n", "!!str 1: a\n", "!!int '1': a\n", "'1': a\n", "\"a\\nb\": c\n", "a b: c\n", "a#b: c\n",
    "'': a\n", "\"\": a\n", "? a\n? b\n", "? a : b\n", "*: a\n", "a : b\n", "a\t: b\n", "1:30: a\n", "!!null ~: a\n",
    // Block scalars.
    "v: |\n", "v: >\n", "v: |+\n", "v: |-\n\n\n", "v: |+\n\n\n", "v: |\n\n\n  a\n", "v: |\n  a", "v: |-\n  a",
    "v: |+\n  a", "v: |2-\n    a\n", "v: |-2\n    a\n", "v: |0\n  a\n", "v: |10\n  a\n", "v: |9\n         a\n",
    "v: | # c\n  a\n", "v: |x\n  a\n", "v: | x\n", "v: |\n a\n  b\n a\n", "v: |\n  a\n b\n", "v: |\n   \n  a\n",
    "v: |\n  a\n   \n  b\n", "v: |\n\ta\n", "v: |\n  a\n# c\nw: 1\n", "v: |\n  a\n  # c\nw: 1\n",
    "v: |\n  a\n # c\n\n  b\n", "- |\n a\n- >\n b\n", "- |\n  a\n -\n", "a:\n  b: |\n    x\n   y\n",
    "a:\n  b: |\n    x\n  c: 1\n", "a:\n- |\n x\n", "v: >\n  a\n  b\n\n  c\n   d\n   e\n\n  f\n",
    "v: >-\n\n  a\n\n\n  b\n\n", "v: >+\n  a\n\n\nw: 1\n", "v: >\n  a\n  \tb\n  c\n", "v: >\n   a\n  b\n",
    "v: >1\n  a\n b\n", "v: >\n  a  \n  b\n", "v: !!str |\n  5\n", "v: !!int |-\n  5\n", "v: !foo >\n  5\n",
    "v: &a |\n  x\nw: *a\n", "|\n a\n", "--- >\n a\n b\n", "v: |\n  ---\n  ...\n", "v: |\n  a\n...\n",
    "v: |\r\n  a\r\n  b\r\n", "v: |\n  a\r  b\r", "v: |\n  {{ x }}\n  key: value\n  - 1\n",
    // Flow style.
    "{}\n", "[]\n", "v: {}\n", "v: []\n", "{a: 1, b: [2, 3], c: {d: e}}\n", "{a: 1,}\n", "[1, 2,]\n", "[,]\n",
    "[1,,2]\n", "{,}\n", "{a, b: , c: ~}\n", "[a: 1, b]\n", "[? a : b]\n", "{? a : b}\n", "{a: 1\n", "[1, 2\n",
    "v: [1\n  , 2]\n", "v: [1,\n2]\n", "v: {\n  a: 1,\n  b: 2\n}\n", "v: {a:1}\n", "v: {\"a\":1}\n", "v: {'a':1}\n",
    "v: [a:1]\n", "v: [\"a\":1]\n", "v: {a: b:c}\n", "v: [a b, c d]\n", "v: [a\n  b]\n", "v: {a: 'b', c: \"d\"}\n",
    "v: [http://a/b]\n", "v: [- 1]\n", "v: [-1]\n", "v: [a, # c\n b]\n", "v: [a#b]\n", "v: {a: 1}}\n", "v: []]\n",
    "v: [[], {}, [{}], [[1]]]\n", "{\"a\": \"\\u00e9\", \"b\": [true, null, 1.5, -0]}\n", "v: {a: [b, c], d}\n",
    "v: {? a}\n", "v: [a\t]\n", "{a: b}: c\n", "v: {a: |\n x}\n", "v: [*]\n", "v: {a: @x}\n", "v: [%a]\n",
    "v: {{ .Values.x }}\n", "{{ x }}: 1\n",
    // Comments, indentation, white space.
    "# c\na: 1 # d\n# e\n", "a: # c\n  1\n", "a: # c\n- 1\n", "a:\n  # c\n  b: 1\n # d\n", "a: 1# b\n", "a: '1' # b\n",
    "a: [1] # b\n", "\n\n a: 1\n b: 2\n", "a: 1\n b: 2\n", "a:\n- 1\n- 2\nb: 3\n", "a:\n  - 1\n  -  2\n  -\n   3\n",
    "a:\n  - 1\n - 2\n", "- - 1\n  - 2\n-\n  - 3\n", "- a: 1\n  b: 2\n-   c: 3\n    d: 4\n", "- a: 1\n   b: 2\n",
    "a:\n   b: 1\n  c: 2\n", "a:\tb\n", "a: \tb\n", "a: b\t\n", "a: b \n", "a:\n\tb: 1\n", "a: 1\n\n\n", "a: 1", "a:",
    "a:\n", "a: \nb: \n", "a:\n\n  b\n", "a: b: c\n", "a: 'b': c\n", "a: - b\n", "a: [b]: c\n", "a\n", "a\nb: 1\n",
    "a: 1\nb\n", "a: 1\n- b\n", "- a\nb: 1\n", "a:b\n", "# c", "\n", " ", "~\n", "5\n", "'a'\n", "a: 1\n...\n",
    "---\na: 1\n", "--- a: 1\n", "--- {a: 1}\n", "--- # c\na: 1\n", "%YAML 1.1\n---\na: yes\n",
    "%TAG !e! tag:yaml.org,2002:\n---\na: !e!int '5'\n", "\u{feff}a: 1\n", "\u{feff}# c\na: 1\n",
    // Plain and quoted scalars of several lines, escapes.
    "v: a\n  b\n", "v: a\n  b\n\n  c\n\n\n  d\n", "v: a\n b # c\n", "v: a # c\n  b\n", "v: a\nb\n", "v:\n  a\n  b\n",
    "v: 1\n  2\n", "v: yes\n  no\n", "v: a\n  - b\n", "v: a\n  b: c\n", "v: a\n  # c\n", "v: a\n\t b\n", "- a\n b\n",
    "- a\n  b\n", "v: 'a\n  b'\n", "v: 'a\n\n  b'\n", "v: 'a  \n  b'\n", "v: ' a\n  b '\n", "v: '\n  a\n  '\n",
    "v: \"a\n  b\"\n", "v: \"a\\\n  b\"\n", "v: \"a \\\n  \\ b\"\n", "v: \"a\\n\n  b\"\n", "v: \"a\n\n\n  b\"\n",
    "v: \"a\n---\nb\"\n", "v: \"a\n--- b\"\n",
    "v: \"\\0\\a\\b\\t\\n\\v\\f\\r\\e\\ \\\"\\\\\\N\\_\\L\\P\\x41\\u0042\\U00000043\"\n", "v: \"\\\t\"\n",
    "v: '\\n'\n", "v: \"\\d\"\n", "v: \"\\x4\"\n", "v: \"\\u12\"\n", "v: \"\\U00110000\"\n", "v: \"\\ud83d\"\n",
    "v: \"a\n", "v: 'a\n", "v: 'a''b'\n", "v: 'a'b\n", "v: \"a\"b\n", "v: \"a\" \"b\"\n", "v: a'b\"c\n",
    "\"a\n b\": c\n", "'a\n b': c\n", "a\n b: c\n",
    // Line ends.
    "a: 1\r\nb:\r\n- c\r\n- |\r\n  d\r\n\r\n  e\r\n", "a: 1\rb: 2\r", "v: 'a\r\n  b'\r\n", "v: \"a\r\n\r\n  b\"\r\n",
    "v: \"a\\\r\n  b\"\r\n", "v: a\r\n  b\r\n", "v: >\r\n  a\r\n  b\r\n", "a: 1\r\n---\r\n", "a: 1 # c\r\nb: 2\r\n",
    "a: \r\n  b\r\n", "v: |+\r\n  a\r\n\r\n",
    // Characters.
    "v: \u{1}\n", "v: \"\u{1}\"\n", "v: \u{7f}\n", "v: \u{80}\n", "v: \"\u{9f}\"\n", "v: a\u{a0}b\n",
    "v: a\u{feff}b\n", "v: \"\u{feff}\"\n", "v: \u{fffe}\n", "v: \u{ffff}\n", "v: \u{fffd}\n", "v: \u{10ffff}\n",
    "v: \u{e000}\n", "v: \u{200b}a\n", "\u{1f600}: \u{e9}\n", "v: a\u{c}b\n", "v: a\u{b}b\n", "v: a\u{1b}b\n",
    // Tags of collections, and tags in odd places.
    "v: !!map {a: 1}\n", "v: !!seq [1]\n", "v: !!map\n  a: 1\n", "v: !foo [1]\n", "v: !foo {a: 1}\n", "v: !foo\n- 1\n",
    "v: !!map [1]\n", "v: !!str {a: 1}\n", "v: !!int [1]\n", "v: !!null {a: 1}\n", "v: !!set {a, b}\n",
    "v: !!omap [a: 1]\n", "!!map\na: 1\n", "--- !!map\na: 1\n", "--- !foo\na: 1\n", "v: !a!b c\n", "v: !<x> c\n",
    "v: !<> c\n", "v: !!str\n", "v: !!int\nw: 1\n", "v: [!!str , !!str 1]\n", "v: !!str !!int 5\n", "v: &a &b 5\n",
    "!!str a: !!int 1\n", "!!int a: 1\n", "!foo a: 1\n", "v: .nan\n", "v: [.inf]\n", "v: [-.inf]\n",
    "v: !!float .nan\n",
];

/// What kubectl reads and we refuse, because nobody means it or because the value would be a guess.
#[rustfmt::skip]
pub(crate) const REFUSED: &[(&str, Reason, &str)] = &[
    ("duplicate keys", Reason::DuplicateKey, "a: 1\na: 2\n"),
    ("duplicate keys", Reason::DuplicateKey, "a: {b: 1, b: 1}\n"),
    ("duplicate keys", Reason::DuplicateKey, "<<: {a: 1, a: 1}\n"),
    ("duplicate keys, one of them a number", Reason::DuplicateKey, "1: a\n\"1\": a\n"),
    ("duplicate keys, one of them a boolean", Reason::DuplicateKey, "yes: a\n\"true\": a\n"),
    ("keys that are floats: kubectl prints them with 32 bits", Reason::InvalidYaml, "1.5: a\n"),
    ("keys that are floats: kubectl prints them with 32 bits", Reason::InvalidYaml, "08: a\n"),
    ("keys that are floats: kubectl prints them with 32 bits", Reason::InvalidYaml, ".nan: a\n"),
    ("!!binary: kubectl decodes it", Reason::InvalidYaml, "v: !!binary aGVsbG8=\n"),
    ("!!timestamp: kubectl checks it and keeps the text", Reason::InvalidYaml, "v: !!timestamp 2024-01-01\n"),
    ("Unicode line ends", Reason::InvalidYaml, "v: 'a\u{85}  b'\n"),
    ("Unicode line ends", Reason::InvalidYaml, "# a\u{2028}v: b\n"),
    ("Unicode line ends", Reason::InvalidYaml, "v: |\n  a\u{2029}  b\n"),
];

/// What kubectl and we both refuse.
pub(crate) const REFUSED_BY_BOTH: &[&str] = &[
    "v: .nan\n",
    "v: [.inf]\n",
    "v: -.INF\n",
    "v: !!float .nan\n",
    "~: a\n",
    ": a\n",
    "!!null ~: a\n",
    "[a]: b\n",
    "? {a: 1}\n: b\n",
    "9223372036854775808: a\n",
    "<<: 1\n",
    "x: &x [{a: 1}]\ny: {<<: *x}\n",
    "v: !!int x\n",
];

/// Syntax that go-yaml v2, a parser of YAML 1.1, and ours, one of YAML 1.2, do not see alike: why, the document, and what
/// we and what kubectl make of it, as JSON; `None` is a refusal.
#[rustfmt::skip]
pub(crate) const SYNTAX: &[(&str, &str, Option<&str>, Option<&str>)] = &[
    // We refuse.
    ("a quoted scalar goes on at the column of its key", "v: 'a\nb'\n", None, Some(r#"{"v":"a b"}"#)),
    ("a quoted scalar goes on at the column of its key", "v: \"a\nb\"\n", None, Some(r#"{"v":"a b"}"#)),
    ("a line of a quoted scalar starts with a tab", "v: \"a\n\tb\"\n", None, Some(r#"{"v":"a b"}"#)),
    ("a comment without a space before it", "v: 'a'# b\n", None, Some(r#"{"v":"a"}"#)),
    ("a comment without a space before it", "v: [a]# b\n", None, Some(r#"{"v":["a"]}"#)),
    ("a comment without a space before it", "v: |# b\n  a\n", None, Some(r#"{"v":"a\n"}"#)),
    ("a comment in an empty block scalar", "v: |4\n  # a\n", None, Some(r#"{"v":""}"#)),
    ("an escape that YAML does not have", "v: \"\\'\"\n", None, Some(r#"{"v":"'"}"#)),
    ("a comma in a tag", "v: !a,\n", None, Some(r#"{"v":""}"#)),
    ("a byte order mark inside", "v: \u{feff}a\n", None, Some("{\"v\":\"\u{feff}a\"}")),
    ("a second document without a separator, which go-yaml drops", " a: 1\nb: 2\n", None, Some(r#"{"a":1}"#)),
    // kubectl refuses.
    ("a directive for YAML 1.2", "%YAML 1.2\n---\nv: a\n", Some(r#"{"v":"a"}"#), None),
    ("a tab that indents nothing", "\tv: a\n", Some(r#"{"v":"a"}"#), None),
    ("a tab after a dash", "-\ta\n", Some(r#"["a"]"#), None),
    ("a line of a tab", "v: {}\n\t\n", Some(r#"{"v":{}}"#), None),
    ("a line of a tab", "v: |\n  a\n\t\n", Some(r#"{"v":"a\n"}"#), None),
    ("a block scalar that starts with a tab", "v: |\n  \ta\n", Some(r#"{"v":"\ta\n"}"#), None),
    ("a question mark in flow style", "v: [a?]\n", Some(r#"{"v":["a?"]}"#), None),
    ("a question mark in flow style", "v: {u: http://a/?b}\n", Some(r#"{"v":{"u":"http://a/?b"}}"#), None),
    ("an anchor of more than letters, digits, _ and -", "v: &a.b c\n", Some(r#"{"v":"c"}"#), None),
    // Both read, differently.
    ("a question mark in flow style", "v: [?a]\n", Some(r#"{"v":["?a"]}"#), Some(r#"{"v":[{"a":null}]}"#)),
    ("a merge key with the tag of no tag", "v: {! <<: {a: 1}}\n", Some(r#"{"v":{"<<":{"a":1}}}"#), Some(r#"{"v":{"a":1}}"#)),
    ("a block scalar that is the document", "|\na\n", Some(r#""a\n""#), Some(r#""""#)),
    // kubectl reads what starts with a brace as JSON; the library alone does not.
    ("escapes of JSON", r#"{"v": "\/"}"#, Some(r#"{"v":"/"}"#), None),
    ("escapes of JSON", r#"{"v": "\ud83d\ude00"}"#, Some("{\"v\":\"\u{1f600}\"}"), None),
    ("line ends of Unicode in JSON", "{\"v\": \"a\u{85}b\"}", Some("{\"v\":\"a\u{85}b\"}"), Some(r#"{"v":"a b"}"#)),
];

/// Lines of scalars.
#[rustfmt::skip]
pub(crate) const LINES: &[&str] = &[
    "", "", " ", "  ", "    ", "  a", "  b", "  c ", "   d", "    e", "  f # g", "  a\tg", "  - h", "  i\t", " j", "  yes", "  'k", "  l: m",
];

/// Lines of mappings and lists.
#[rustfmt::skip]
pub(crate) const STRUCTURE: &[&str] = &[
    "", "# a", "a: 1", "b:", "'c': 2", "1: 2", "yes: no", "d: # e", "f : g", "h: i j", "k", "l: !!str 5", "!foo", "- m", "- n: 2",
    "- o:", "-", "- - p", "- q:r", "? s", ": t", "- ? u", "? |", "v: {w: x}", "y: [z, a]", "b: 'c", "d'", "e: \"f", "g\" # h", "- {i: 1,",
    "j: 2}", "k: &l [m,", "n]", "o: |", "p: >-", "- |", "q: &r", "- &r s", "&t", "- *r", "u: *r", "<<: *r", "<<: {a: 3}",
];

/// Pieces of strings that a writer has to take care of.
#[rustfmt::skip]
pub(crate) const PIECES: &[&str] = &[
    "a", "b c", " ", "  ", "\n", "\n\n", "\r", "\r\n", "\t", "'", "\"", "\\", ":", ": ", "#", " #", "-", "- ", "---", "...", "?", "? ",
    "&", "*", "!", "|", ">", "%", "@", "`", ",", "[", "]", "{", "}", "~", "null", "yes", "No", "on", "OFF", "true", "y", "n", "0", "1",
    "0644", "0o17", "0x1F", "1e3", ".5", "5.", "1_000", "1:30", ".inf", ".nan", "2024-01-01", "<<", "=", "_", "+", ".", "\0", "\u{1}",
    "\u{7}", "\u{8}", "\u{b}", "\u{c}", "\u{1b}", "\u{7f}", "\u{80}", "\u{85}", "\u{9f}", "\u{a0}", "\u{ad}", "\u{200b}", "\u{2028}",
    "\u{2029}", "\u{feff}", "\u{fffd}", "\u{fffe}", "\u{ffff}", "\u{10ffff}", "é", "😀", "key: value", "\n---\n", "\n  x", "\nx\n",
    "long words that make a line of text longer than eighty characters, which writers like to fold ",
];
