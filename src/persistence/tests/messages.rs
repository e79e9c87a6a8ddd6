//! Messages: what is written field by field is the serial form by `serde`, and reads back.

use super::super::message_pack::write_envelope;
use super::super::wire_message::WireEnvelope;
use super::super::wire_object::{from_bytes, to_bytes};
use super::*;

fn literals() -> impl Strategy<Value = Literal> {
    let leaf = prop_oneof![values().prop_map(Literal::Value), ".{0,40}".prop_map(Literal::Named)];
    leaf.prop_recursive(2, 8, 3, |inner| {
        let key = prop_oneof![
            any::<bool>().prop_map(MapKey::Boolean),
            any::<i32>().prop_map(|number| MapKey::number(f64::from(number) / 4.0).unwrap()),
            ".{0,4}".prop_map(MapKey::Text),
            any::<u128>().prop_map(|id| MapKey::Object(ObjectId(Uuid::from_u128(id)))),
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Literal::List),
            prop::collection::vec((key, inner), 0..4).prop_map(Literal::Map),
        ]
    })
}

fn ids() -> impl Strategy<Value = Uuid> {
    any::<u128>().prop_map(Uuid::from_u128)
}

fn envelopes() -> impl Strategy<Value = Envelope> {
    let target = prop_oneof![".{0,40}".prop_map(Target::Name), ids().prop_map(|id| Target::Id(ObjectId(id)))];
    let argument = (prop::option::of(names()), literals()).prop_map(|(name, value)| Argument { name, value });
    let args = prop::collection::vec(argument, 0..4);
    (ids(), prop::option::of(ids()), ".{0,40}", target, names(), args, any::<u64>(), any::<Option<u64>>()).prop_map(
        |(message_id, correlation_id, sender_id, target, selector, args, issued_at, retries)| Envelope {
            message_id,
            correlation_id,
            sender_id,
            target,
            selector,
            args,
            issued_at,
            retries,
        },
    )
}

fn check(sent: &Envelope) {
    let mut bytes = b"before".to_vec();
    write_envelope(&mut bytes, sent).unwrap();
    assert!(bytes[6..] == to_bytes(&WireEnvelope::from(sent)).unwrap(), "not as `serde` writes {sent:?}");
    let read = Envelope::try_from(from_bytes::<WireEnvelope>(&bytes[6..]).unwrap()).unwrap();
    assert!(same(&read, sent), "{read:?} is not {sent:?}");
}

proptest! {
    #[test]
    fn a_message_is_written_as_serde_writes_it_and_reads_back(sent in envelopes()) {
        check(&sent);
    }
}

#[test]
fn each_length_and_number_is_written_in_its_shortest_form() {
    let with = |value: Literal| Envelope { args: vec![Argument { name: None, value }], ..envelope(1) };
    for length in [0, 15, 16, 31, 32, 255, 256, 65_535, 65_536] {
        let nils = vec![Value::Nil; length];
        let keys = (0..length).map(|at| (MapKey::Number(at as f64), Value::Nil)).collect::<BTreeMap<_, _>>();
        check(&with(Value::Text("x".repeat(length)).into()));
        check(&with(Value::List(nils.clone().into()).into()));
        check(&with(Value::Map(keys.into()).into()));
        check(&with(Literal::List(nils.into_iter().map(Literal::Value).collect())));
    }
    for power in [0, 7, 8, 16, 32, 63] {
        for number in [(1_u64 << power) - 1, 1 << power, u64::MAX] {
            check(&Envelope { issued_at: number, retries: Some(number), ..envelope(1) });
        }
    }
    check(&with(Value::Number(-f64::NAN).into()));
}
