//! Inputs worth trying on a stable toolchain: files that mean something, damaged; streams grown from a grammar;
//! HostedClusters among workloads that are nearly right; and such pods as they are created.

use hcp_identity::component::{COMPONENTS, EnvValue, Pod};
use proptest::{
    collection::vec,
    option::weighted,
    prelude::*,
    sample::{Index, select},
};
use serde_json::{Value, json};

/// Text that means something to a YAML parser, to kubectl's idea of scalars, or to a terminal.
const NASTY: [&str; 56] = [
    "~",
    "''",
    "\"\\e[31m\"",
    "\"\\u202e\"",
    "yes",
    "Off",
    "0644",
    "0o17",
    "0x1F",
    "1_000",
    "1e400",
    "-0.0",
    ".inf",
    "18446744073709551616",
    "-9223372036854775808",
    "2024-01-01",
    "&a ",
    "*a",
    "<<",
    "<<: *a",
    "!!binary ",
    "!!int ",
    "!!str ",
    "!x ",
    "|",
    ">-",
    "|2+",
    "? ",
    "- ",
    "[",
    "]",
    "{",
    "}",
    ": ",
    " #",
    "---",
    "...",
    "%YAML 1.2",
    "\r",
    "\r\n",
    "\n",
    "\t",
    "\u{feff}",
    "\u{85}",
    "\u{2028}",
    "\u{202e}",
    "\u{9b}",
    "\0",
    "{}",
    "[]",
    "null",
    "\"",
    "\"\\n\\t \"",
    "items",
    "kind: List",
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
];

#[derive(Clone, Copy, Debug)]
enum Damage {
    DeleteLines,
    CopyLines,
    Indent,
    SwapTokens,
    ReplaceToken,
    Insert,
    FlipBit,
    Truncate,
    Splice,
}

/// One of the files with something done to it, a few times.
pub(crate) fn damaged(files: Vec<Vec<u8>>) -> BoxedStrategy<Vec<u8>> {
    let damages = vec(damage(), 1..8);
    let files = select(files);
    (files.clone(), files, damages).prop_map(|(file, other, damages)| apply(file, &other, &damages)).boxed()
}

type Where = (Damage, Index, Index, usize, &'static str);

fn damage() -> impl Strategy<Value = Where> {
    use Damage::*;
    let kinds =
        vec![DeleteLines, CopyLines, Indent, SwapTokens, ReplaceToken, ReplaceToken, Insert, FlipBit, Truncate, Splice];
    (select(kinds), any::<Index>(), any::<Index>(), 1..6usize, select(&NASTY[..]))
}

fn apply(mut bytes: Vec<u8>, other: &[u8], damages: &[Where]) -> Vec<u8> {
    for (damage, at, to, amount, nasty) in damages {
        bytes = one(*damage, bytes, other, [*at, *to], *amount, nasty);
    }
    bytes
}

fn one(damage: Damage, mut bytes: Vec<u8>, other: &[u8], [at, to]: [Index; 2], amount: usize, nasty: &str) -> Vec<u8> {
    let mut lines: Vec<Vec<u8>> = bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    let line = at.index(lines.len() + 1);
    let some_lines = line..lines.len().min(line + amount);
    let tokens = tokens(&bytes);
    match damage {
        Damage::DeleteLines => drop(lines.drain(some_lines)),
        Damage::CopyLines => {
            let copy = lines[some_lines].to_vec();
            let to = to.index(lines.len() + 1);
            lines.splice(to..to, copy);
        }
        Damage::Indent => lines[some_lines].iter_mut().for_each(|line| drop(line.splice(..0, vec![b' '; amount]))),
        Damage::SwapTokens | Damage::ReplaceToken if tokens.is_empty() => {}
        Damage::SwapTokens => {
            let (first, second) = (at.index(tokens.len()), to.index(tokens.len()));
            let (first, second) = (&tokens[first.min(second)], &tokens[first.max(second)]);
            if first != second {
                let moved: Vec<u8> = bytes.splice(second.clone(), bytes[first.clone()].to_vec()).collect();
                bytes.splice(first.clone(), moved);
            }
            return bytes;
        }
        Damage::ReplaceToken => {
            bytes.splice(tokens[at.index(tokens.len())].clone(), nasty.bytes());
            return bytes;
        }
        Damage::Insert => {
            let at = at.index(bytes.len() + 1);
            bytes.splice(at..at, nasty.bytes());
            return bytes;
        }
        Damage::FlipBit => {
            let at = at.index(bytes.len() + 1);
            bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << amount);
            return bytes;
        }
        Damage::Truncate => {
            bytes.truncate(at.index(bytes.len() + 1));
            return bytes;
        }
        Damage::Splice => {
            let (here, there) = (at.index(bytes.len() + 1), to.index(other.len() + 1));
            bytes.truncate(here);
            bytes.extend(&other[there..]);
            return bytes;
        }
    }
    lines.concat()
}

/// Where the words and numbers are.
fn tokens(bytes: &[u8]) -> Vec<std::ops::Range<usize>> {
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_./".contains(byte) || !byte.is_ascii();
    let mut tokens: Vec<std::ops::Range<usize>> = Vec::new();
    for at in (0..bytes.len()).filter(|at| is_word(&bytes[*at])) {
        match tokens.last_mut() {
            Some(last) if last.end == at => last.end = at + 1,
            _ => tokens.push(at..at + 1),
        }
    }
    tokens
}

/// A YAML node, and how it is written.
#[derive(Clone, Debug)]
enum Tree {
    Plain(&'static str),
    Quoted(String),
    Block(&'static str, Vec<String>),
    Decorated(&'static str, Box<Tree>),
    Sequence(bool, Vec<Tree>),
    Mapping(bool, Vec<(&'static str, Tree)>),
}

/// A stream of YAML documents that are mostly well-formed.
pub(crate) fn grown() -> BoxedStrategy<Vec<u8>> {
    let separators =
        ["---\n", "\n---\n", "---\r\n", "...\n---\n", "--- ", "...\n", "\n%YAML 1.2\n---\n", "---\n# x\n---\n", "\n"];
    let document = (select(separators.to_vec()), tree());
    let line_ends = select(vec!["\n", "\n", "\n", "\r\n", "\r"]);
    (any::<bool>(), vec(document, 1..4), line_ends)
        .prop_map(|(byte_order_mark, documents, line_end)| {
            let mut text = String::from(if byte_order_mark { "\u{feff}" } else { "" });
            for (separator, tree) in documents {
                text += separator;
                write(&tree, 0, false, &mut text);
                text += "\n";
            }
            text.replace('\n', line_end).into_bytes()
        })
        .boxed()
}

fn tree() -> impl Strategy<Value = Tree> {
    let characters = vec![
        'a',
        'b',
        ' ',
        ' ',
        '\n',
        '\n',
        '\t',
        ':',
        '#',
        '-',
        '"',
        '\'',
        '\\',
        '|',
        '0',
        '\r',
        '\u{1b}',
        '\u{7f}',
        '\u{85}',
        '\u{9b}',
        '\u{a0}',
        '\u{feff}',
        '\u{2028}',
        '\u{202e}',
        '\u{ffff}',
        '\u{1f600}',
    ];
    let string = move |longest| vec(select(characters.clone()), 0..longest).prop_map(String::from_iter);
    let line = vec(select(vec!['a', ' ', ':', '#', '-', '\t', '"']), 0..9).prop_map(String::from_iter);
    let plain = vec!["List", "AList", "v1", "a", "1", "a b", "a: b", "*a", "*b", "", "- x"];
    let leaf = prop_oneof![
        4 => select(plain).prop_map(Tree::Plain),
        3 => select(&NASTY[..]).prop_map(Tree::Plain),
        3 => string(12).prop_map(Tree::Quoted),
        1 => string(120).prop_map(Tree::Quoted),
        2 => (select(vec!["|", ">", "|-", ">-", "|+", "|2", ">1+"]), vec(line, 0..5)).prop_map(|(header, lines)| Tree::Block(header, lines)),
    ];
    let keys = vec![
        "kind",
        "apiVersion",
        "items",
        "metadata",
        "a",
        "b",
        "c",
        "1",
        "yes",
        "\"a b\"",
        "<<",
        "''",
        "? d\n",
        "!!str e",
    ];
    let decorations = vec!["&a ", "&b ", "!!str ", "!x ", "!!map ", "!!float ", "!!null "];
    leaf.prop_recursive(8, 60, 5, move |inner| {
        prop_oneof![
            (any::<bool>(), vec(inner.clone(), 0..5)).prop_map(|(flow, items)| Tree::Sequence(flow, items)),
            (any::<bool>(), vec((select(keys.clone()), inner.clone()), 0..6))
                .prop_map(|(flow, entries)| Tree::Mapping(flow, entries)),
            (select(decorations.clone()), inner).prop_map(|(with, tree)| Tree::Decorated(with, Box::new(tree))),
        ]
    })
}

fn write(tree: &Tree, indent: usize, in_flow: bool, out: &mut String) {
    let line = format!("\n{}", " ".repeat(indent));
    match tree {
        Tree::Plain(text) => *out += text,
        Tree::Quoted(text) => *out += &json!(text).to_string(),
        Tree::Block(_, lines) if in_flow => *out += &json!(lines.concat()).to_string(),
        Tree::Block(header, lines) => {
            *out += header;
            lines.iter().for_each(|text| *out += &format!("{line}  {text}"));
        }
        Tree::Decorated(with, tree) => {
            *out += with;
            write(tree, indent, in_flow, out);
        }
        Tree::Sequence(flow, items) => {
            let flow = *flow || in_flow || items.is_empty();
            *out += if flow { "[" } else { "" };
            for item in items {
                *out += &if flow { String::new() } else { format!("{line}- ") };
                write(item, indent + 2, flow, out);
                *out += if flow { ", " } else { "" };
            }
            *out += if flow { "]" } else { "" };
        }
        Tree::Mapping(flow, entries) => {
            let flow = *flow || in_flow || entries.is_empty();
            *out += if flow { "{" } else { "" };
            for (key, value) in entries {
                *out += &if flow { format!("{key}: ") } else { format!("{line}{key}: ") };
                write(value, indent + 2, flow, out);
                *out += if flow { ", " } else { "" };
            }
            *out += if flow { "}" } else { "" };
        }
    }
}

/// One of the HostedClusters, whose control plane namespace is `c-a`, among workloads, and perhaps some damage.
pub(crate) fn worlds(hosted_clusters: Vec<Vec<u8>>) -> BoxedStrategy<Vec<u8>> {
    let workloads = vec(workload().prop_map(|workload| workload.to_string().into_bytes()), 1..5);
    let damages = prop_oneof![3 => vec(damage(), 0..1), 1 => vec(damage(), 1..4)];
    let documents = (select(hosted_clusters), workloads).prop_map(|(cluster, mut documents)| {
        documents.push(cluster);
        documents
    });
    (documents.prop_shuffle(), damages)
        .prop_map(|(documents, damages)| apply(documents.join(&b"\n---\n"[..]), &documents[0], &damages))
        .boxed()
}

fn workload() -> impl Strategy<Value = Value> {
    let pods: Vec<(&str, &'static Pod)> =
        COMPONENTS.iter().flat_map(|component| component.pods.iter().map(|pod| (component.class, pod))).collect();
    let kinds = select(vec!["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Pod"]);
    let namespaces = select(vec!["c-a", "c-a", "c-a", "c"]);
    (select(pods), kinds, namespaces, select(vec!["w", "x"])).prop_flat_map(|((class, pod), kind, namespace, name)| {
        spec(class, pod).prop_map(move |spec| {
            let labels = json!({"app": pod.app});
            if kind == "Pod" {
                let metadata = json!({"name": name, "namespace": namespace, "labels": labels, "uid": "u"});
                return json!({"apiVersion": "v1", "kind": kind, "metadata": metadata, "spec": spec, "status": {}});
            }
            let template = json!({"metadata": {"labels": labels}, "spec": spec});
            let metadata = json!({"name": name, "namespace": namespace});
            json!({"apiVersion": "apps/v1", "kind": kind, "metadata": metadata, "spec": {"template": template}})
        })
    })
}

/// What is asked about a pod as it is created, and perhaps some damage.
pub(crate) fn reviews() -> BoxedStrategy<Vec<u8>> {
    let pods: Vec<(&str, &'static Pod)> =
        COMPONENTS.iter().flat_map(|component| component.pods.iter().map(|pod| (component.class, pod))).collect();
    let namespaces = select(vec!["clusters-prod", "clusters-prod", "clusters-held", "clusters-paused", "default"]);
    let pods = select(pods).prop_flat_map(|(class, pod)| {
        let labels = prop_oneof![9 => Just(json!({"app": pod.app})), 1 => Just(json!(["app"]))];
        (labels, spec(class, pod)).prop_map(|(labels, spec)| json!({"metadata": {"labels": labels}, "spec": spec}))
    });
    let damages = prop_oneof![3 => vec(damage(), 0..1), 1 => vec(damage(), 1..4)];
    (namespaces, pods, damages)
        .prop_map(|(namespace, pod, damages)| {
            let kind = json!({"group": "", "version": "v1", "kind": "Pod"});
            let request =
                json!({"uid": "u", "kind": kind, "operation": "CREATE", "namespace": namespace, "object": pod});
            let review =
                json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}).to_string();
            apply(review.clone().into_bytes(), review.as_bytes(), &damages)
        })
        .boxed()
}

fn spec(class: &'static str, pod: &'static Pod) -> impl Strategy<Value = Value> {
    let (volume, path) = pod.mount.as_ref().map_or(("v", "/p"), |mount| (mount.volume, mount.path));
    let csi = json!({"driver": "secrets-store.csi.k8s.io", "readOnly": true, "volumeAttributes": {"secretProviderClass": class}});
    let volumes = list(vec![
        json!({"name": volume, "csi": csi}),
        json!({"name": volume, "csi": csi, "emptyDir": null}),
        json!({"name": volume, "emptyDir": {}}),
        json!({"name": "other", "emptyDir": {}}),
    ]);
    let mounts = list(vec![
        json!({"name": volume, "mountPath": path, "readOnly": true}),
        json!({"name": volume, "mountPath": format!("{path}/"), "readOnly": true, "subPath": ""}),
        json!({"name": volume, "mountPath": path}),
        json!({"name": "other\u{1b}", "mountPath": path}),
        json!({"name": "other", "mountPath": "/other"}),
    ]);
    let right = |value| match value {
        EnvValue::ProviderClass => class.to_owned(),
        EnvValue::SecretName => "s4".to_owned(),
        EnvValue::CredentialPath => format!("{path}/s4"),
    };
    let env = pod.env.iter().flat_map(|env| {
        [
            json!({"name": env.name, "value": right(env.value)}),
            json!({"name": env.name, "value": right(env.value), "valueFrom": null}),
            json!({"name": env.name, "value": "other"}),
            json!({"name": env.name, "valueFrom": {"fieldRef": {}}}),
        ]
    });
    let env = list(env.chain([json!({"name": "OTHER", "value": "yes"})]).collect());
    let names: Vec<&str> = pod.containers.iter().map(|container| container.name).chain(["other\u{202e}"]).collect();
    let container = (select(names), mounts, env).prop_map(|(name, mounts, env)| {
        let mut container = json!({"name": name});
        for (key, list) in [("volumeMounts", mounts), ("env", env)] {
            list.into_iter().for_each(|list| container[key] = list);
        }
        container
    });
    let init = weighted(0.2, select(pod.containers.iter().map(|container| container.name).collect::<Vec<_>>()));
    (volumes, vec(container, 0..4), init).prop_map(|(volumes, containers, init)| {
        let mut spec = json!({"containers": containers});
        volumes.into_iter().for_each(|volumes| spec["volumes"] = volumes);
        init.into_iter().for_each(|name| spec["initContainers"] = json!([{"name": name}]));
        spec
    })
}

/// No list, some of these, or what is no list.
fn list(of: Vec<Value>) -> impl Strategy<Value = Option<Value>> {
    let odd = select(vec![json!(null), json!("x"), json!([7]), json!({}), json!([{"name": 7}])]);
    prop_oneof![
        4 => Just(None),
        8 => vec(select(of), 0..3).prop_map(|some| Some(Value::Array(some))),
        1 => odd.prop_map(Some),
    ]
}
