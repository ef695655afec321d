//! The reader against real and hostile streams.

use serde_json::{Value, json};

use super::*;
use crate::finding::{FieldPath, Reason};

/// Every document of a stream: its objects as JSON, or why it cannot be read and where.
fn read_with(input: &[u8], limits: Limits) -> Vec<Result<Vec<Value>, (Reason, u32)>> {
    let mut documents = Documents::new(input, limits);
    let mut all = Vec::new();
    while let Some(document) = documents.next_document().unwrap() {
        let mut objects = Vec::new();
        let read = document.objects(&limits, &mut |object| objects.push(object.node.to_value()));
        all.push(read.map(|()| objects).map_err(|problem| (problem.reason, problem.at.line)));
    }
    all
}

fn read(input: impl AsRef<[u8]>) -> Vec<Result<Vec<Value>, (Reason, u32)>> {
    read_with(input.as_ref(), Limits::default())
}

fn one(input: &str) -> Node {
    let mut nodes = Vec::new();
    let mut documents = Documents::new(input.as_bytes(), Limits::default());
    let document = documents.next_document().unwrap().unwrap();
    document.objects(&Limits::default(), &mut |object| nodes.push(object.node)).unwrap();
    assert_eq!(nodes.len(), 1);
    nodes.remove(0)
}

#[test]
fn documents_are_cut_at_separators_and_empty_ones_do_not_count() {
    let expected: Vec<_> = [1, 2, 3].map(|n| Ok(vec![json!({ "a": n })])).into();
    assert_eq!(read("a: 1\n---\na: 2\n--- # comment\n\n---\na: 3\n---\n"), expected);
    assert_eq!(read("%YAML 1.2\n---\na: 1\n...\n---\na: 2\n--- {a: 3}\n...\n"), expected);
    assert_eq!(read("\u{feff}---\r\na: 1\r\n---\r\na: 2\r\n---\r\na: 3\r\n"), expected);
    assert_eq!(read("# only\n---\n# comments\n"), []);
    assert_eq!(read(""), []);
}

#[test]
fn directives_belong_to_one_document() {
    let two = [Ok(vec![json!({"a": 1})]), Ok(vec![json!({"a": 2})])];
    assert_eq!(read("%YAML 1.2\n--- {a: 1}\n---\na: 2\n"), two);
    assert_eq!(read("\u{feff}%YAML 1.2\n---\na: 1\n...\n# c\n%YAML 1.2\n---\na: 2\n"), two);
}

/// The parser ends a line at a lone carriage return, and the stream is cut apart at line feeds.
#[test]
fn a_second_document_that_is_not_cut_off_is_not_lost() {
    assert_eq!(read("a: 1\r---\ra: 2\r"), [Err((Reason::InvalidYaml, 2))]);
}

#[test]
fn a_dash_dash_dash_inside_a_block_is_text() {
    assert_eq!(read("a: |\n  x\n  ---\n  y\n---x: 1\n"), [Ok(vec![json!({"a": "x\n---\ny\n", "---x": 1})])]);
}

#[test]
fn json_documents_and_concatenated_json_are_read() {
    let two = [Ok(vec![json!({"a": 1}), json!({"b": "\u{1f600}/"})])];
    assert_eq!(read("{\"a\":1}\n{\"b\":\"\\ud83d\\ude00\\/\"}\n"), two);
    assert_eq!(read("{\n\t\"a\": 1\n}\n\n{\"b\":\"\u{1f600}/\"}"), two);
    assert_eq!(read(b"{}\n\n {\"a\": 1}\n{\"b\":\n  {\"c\": 1, \"c\": 2}}"), [Err((Reason::DuplicateKey, 5))]);
    let long_key = "k".repeat(5000);
    assert_eq!(read(format!("{{\"{long_key}\": 1}}")), [Ok(vec![json!({ long_key: 1 })])]);
}

#[test]
fn lists_are_handed_on_item_by_item() {
    let item = |n: u32| json!({"apiVersion": "v1", "kind": "A", "x": n});
    let list =
        "apiVersion: v1\nitems:\n- {apiVersion: v1, kind: A, x: 1}\n- {apiVersion: v1, kind: A, x: 2}\nkind: List\n";
    assert_eq!(read(list), [Ok(vec![item(1), item(2)])]);
    let typed = r#"{"kind":"AList","apiVersion":"v1","items":[{"x":1,"kind":"A","apiVersion":"v1"},{"x":2}]}"#;
    let Ok(objects) = &read(typed)[0] else { panic!("{typed}") };
    assert_eq!(objects[1], json!({"x": 2, "kind": "A", "apiVersion": "v1"}));
    let mut paths = Vec::new();
    let mixed = "kind: List\nitems: [{w: 0}, {apiVersion: v1, kind: A}, {w: 2}]";
    let mut documents = Documents::new(mixed.as_bytes(), Limits::default());
    let document = documents.next_document().unwrap().unwrap();
    document.objects(&Limits::default(), &mut |object| paths.push(object.path.to_string())).unwrap();
    assert_eq!(paths, ["items[1]", "items[0]", "items[2]"]);
    assert_eq!(read("kind: A\nitems: [{apiVersion: v1, kind: A}]"), [Err((Reason::UnreadableList, 1))]);
}

#[test]
fn positions_are_those_of_the_source() {
    let node = one("# c\n\n---\nspec:\n  list:\n  - a: 1\n    b: \"x\"\n");
    let at = |path: &FieldPath| (node.locate(path).line, node.locate(path).column);
    assert_eq!(at(&FieldPath::of("spec.list").index(0).key("b")), (7, 5));
    assert_eq!(at(&FieldPath::of("spec.list").index(0).key("missing")), (6, 5));
    assert_eq!(at(&FieldPath::of("nothing")), (4, 1));
    let json = one("\n\n{\"a\":\n  {\"b\": 1}}");
    assert_eq!((json.locate(&FieldPath::of("a.b")).line, json.locate(&FieldPath::of("a.b")).column), (4, 4));
}

#[test]
fn anchors_and_merge_keys() {
    let merged = "base: &b {x: 1, w: 2}\none:\n  <<: *b\n  w: 3\ntwo: *b\nthree: {<<: [{x: 9}, *b], z: 1}\n";
    assert_eq!(
        one(merged).to_value(),
        json!({"base": {"x": 1, "w": 2}, "one": {"x": 1, "w": 3}, "two": {"x": 1, "w": 2}, "three": {"x": 9, "w": 2, "z": 1}})
    );
}

#[test]
fn keys_become_strings_as_in_kubectl() {
    assert_eq!(one("1: a\non: b\n").to_value(), json!({"1": "a", "true": "b"}));
}

#[test]
fn tags_that_kubectl_does_not_know_change_nothing() {
    assert_eq!(
        one("a: !!unheard-of 1\nb: !mine {c: !x 2}\nd: {!!merge <<: {e: !!int '3'}}\n").to_value(),
        json!({"a": "1", "b": {"c": "2"}, "d": {"e": 3}})
    );
}

#[test]
fn floats_that_are_whole_numbers_arrive_as_integers() {
    assert_eq!(one("[1e3, 08, -0.0, 1.5, 1e30]").to_value().to_string(), "[1000,8,0,1.5,1e+30]");
}

#[test]
fn json_is_written_so_that_it_is_yaml() {
    let mut bytes = Vec::new();
    Writer::new(&mut bytes, Format::Json).write(&json!("\u{9b}\u{ffff}\u{a0}")).unwrap();
    assert!(String::from_utf8_lossy(&bytes).ends_with("\"\\u009b\\uffff\u{a0}\""));
}

#[test]
fn what_is_written_starts_no_block_with_a_tab() {
    let mut bytes = Vec::new();
    Writer::new(&mut bytes, Format::Yaml).write(&json!({"a": "x\n\ty\n"})).unwrap();
    assert_eq!(String::from_utf8_lossy(&bytes), "a: |\n  x\n  \ty\n");
    bytes.clear();
    Writer::new(&mut bytes, Format::Yaml).write(&json!({"a": "\n\tx\ny"})).unwrap();
    assert_eq!(String::from_utf8_lossy(&bytes), "a: \"\\n\\tx\\ny\"\n");
}

#[test]
fn a_bad_document_leaves_its_neighbours_alone() {
    let good = || Ok(vec![json!({"a": 1})]);
    for (bad, reason, line) in [
        (&b"a: 1\na: 2"[..], Reason::DuplicateKey, 4),
        (b"{a: 1, b: 2, a: 3}", Reason::DuplicateKey, 3),
        (b"1: x\n\"1\": y", Reason::DuplicateKey, 4),
        (b"a: [1, 2", Reason::InvalidYaml, 0),
        (b"a: *b", Reason::InvalidYaml, 3),
        (b"a: &b [*b]", Reason::InvalidYaml, 3),
        (b"? {x: 1}\n: y", Reason::InvalidYaml, 3),
        (b"~: x", Reason::InvalidYaml, 3),
        (b"<<: 1", Reason::InvalidYaml, 3),
        (b"a: !!binary AAAA", Reason::InvalidYaml, 3),
        (b"a: !!int x", Reason::InvalidYaml, 3),
        (b"a: !!timestamp 2024-01-01", Reason::InvalidYaml, 3),
        (b"a: &a [{b: 1}]\n<<: *a", Reason::InvalidYaml, 4),
        (b"a: 1\n# b\xe2\x80\xa8c: 1", Reason::InvalidYaml, 4),
        (b"# b\xc2\x85c: 1", Reason::InvalidYaml, 3),
        (b"a: .nan", Reason::InvalidYaml, 3),
        (b"a: b\n\0", Reason::InvalidEncoding, 4),
        (b"a: b\nc: \xff", Reason::InvalidEncoding, 4),
        (b"\xff\xfea\0", Reason::InvalidEncoding, 3),
        (b"a:\n\tb: 1", Reason::InvalidYaml, 4),
    ] {
        let input = [b"a: 1\n---\n", bad, b"\n---\na: 1\n"].concat();
        let all = read(&input);
        let shown = String::from_utf8_lossy(bad);
        assert_eq!(all.len(), 3, "{shown}: {all:?}");
        assert_eq!((&all[0], &all[2]), (&good(), &good()), "{shown}");
        let Err((found, at)) = &all[1] else { panic!("{shown}: {:?}", all[1]) };
        assert_eq!(*found, reason, "{shown}");
        assert!(line == 0 || *at == line, "{shown}: line {at}, not {line}");
    }
}

#[test]
fn an_alias_bomb_is_refused() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..30 {
        let previous = format!("*a{}", level - 1);
        bomb += &format!("a{level}: &a{level} [{}]\n", [previous.as_str(); 10].join(", "));
    }
    assert!(matches!(read(&bomb)[..], [Err((Reason::TooManyAliases, _))]));
    let text = "x".repeat(1 << 20);
    let fat = format!("a: &a {text}\nb: [{}]\n", ["*a"; 100].join(", "));
    assert_eq!(read(fat), [Err((Reason::TooManyAliases, 2))]);
}

#[test]
fn aliases_cannot_nest_deeper_than_text_can() {
    let limits = Limits { nesting: 4, ..Limits::default() };
    let flat = json!({"a": [["x"]], "b": [["x"]]});
    assert_eq!(read_with(b"a: &a [[x]]\nb: *a", limits), [Ok(vec![flat])]);
    assert_eq!(read_with(b"a: &a [[x]]\nb: [*a]", limits), [Err((Reason::InvalidYaml, 2))]);
}

#[test]
fn the_kind_of_a_list_cannot_blow_up_its_items() {
    let limits = Limits { object_bytes: 10_000, ..Limits::default() };
    let list = |kind: &str| format!("kind: {kind}List\nitems: [{}]", ["{}"; 50].join(","));
    assert!(matches!(&read_with(list("A").as_bytes(), limits)[..], [Ok(objects)] if objects.len() == 50));
    assert_eq!(read_with(list(&"A".repeat(1000)).as_bytes(), limits), [Err((Reason::ObjectTooLarge, 1))]);
}

#[test]
fn deep_nesting_is_refused_without_deep_recursion() {
    for bomb in ["[".repeat(10_000), "- ".repeat(10_000), "{a: ".repeat(10_000), "? ".repeat(10_000)] {
        assert!(matches!(read(&bomb)[..], [Err((Reason::InvalidYaml, 1))]), "{:?}", &bomb[..4]);
    }
    let block: String = (0..10_000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    assert!(matches!(read(block)[..], [Err((Reason::InvalidYaml, _))]));
}

#[test]
fn a_document_without_end_is_refused_and_the_next_one_read() {
    let limits = Limits { document_bytes: 1000, ..Limits::default() };
    let long_line = "x".repeat(5000);
    let many_lines = "y: 1\n".repeat(1000);
    for huge in [long_line, many_lines] {
        let input = format!("a: 1\n---\n{huge}\n---\na: 2\n");
        assert_eq!(
            read_with(input.as_bytes(), limits),
            [Ok(vec![json!({"a": 1})]), Err((Reason::DocumentTooLarge, 2)), Ok(vec![json!({"a": 2})])]
        );
    }
}

#[test]
fn one_object_may_not_take_unbounded_memory_but_a_list_may_have_many() {
    let limits = Limits { object_bytes: 10_000, ..Limits::default() };
    let fat = format!("a: [{}]", ["1"; 200].join(","));
    assert_eq!(read_with(fat.as_bytes(), limits), [Err((Reason::ObjectTooLarge, 1))]);
    let list = format!("kind: List\nitems:\n{}", "- {kind: A, apiVersion: v1}\n".repeat(1000));
    let objects = read_with(list.as_bytes(), limits);
    assert_eq!(objects[0].as_ref().map(Vec::len), Ok(1000));
}
