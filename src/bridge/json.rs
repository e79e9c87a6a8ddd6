//! The JSON that programs read: values, outcomes, objects. A contract: fields are added, never changed.

use crate::object::{
    Afterwards, Change, Edit, EditKind, Envelope, Fault, Image, MapKey, MethodVersion, Object, ObjectId, ObjectRef,
    Objects, Outcome, Quarantined, Replica, Slot, SlotContent, Target, Value, inherited, number_text,
};
use serde_json::{Map, Value as Json, json};

/// Keys that say what an object of JSON stands for: a map that has one of them is written as pairs.
const MARKERS: [&str; 3] = ["object", "number", "map"];

/// A value. Text, lists and maps with plain keys are JSON's own; see `README.md` for the rest.
pub(super) fn value(of: &Value, objects: &dyn Objects) -> Json {
    match of {
        Value::Nil => Json::Null,
        Value::Boolean(value) => json!(value),
        Value::Number(value) => number(*value),
        Value::Text(text) => json!(text),
        Value::List(items) => items.iter().map(|item| value(item, objects)).collect(),
        Value::Map(entries) => map(entries.iter(), objects),
        Value::Object(id) => Json::Object(reference(*id, objects)),
    }
}

fn number(number: f64) -> Json {
    // Whole numbers that a double holds exactly are written without a point.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() <= EXACT && !(number == 0.0 && number.is_sign_negative()) {
        return json!(number as i64);
    }
    serde_json::Number::from_f64(number).map_or_else(|| json!({ "number": number_text(number) }), Json::Number)
}

fn key(of: &MapKey, objects: &dyn Objects) -> Json {
    match of {
        MapKey::Boolean(key) => json!(key),
        MapKey::Number(key) => number(*key),
        MapKey::Text(key) => json!(key),
        MapKey::Object(id) => Json::Object(reference(*id, objects)),
    }
}

fn map<'a>(entries: impl Iterator<Item = (&'a MapKey, &'a Value)> + Clone, objects: &dyn Objects) -> Json {
    let plain = |(key, _): (&MapKey, &Value)| matches!(key, MapKey::Text(text) if !MARKERS.contains(&text.as_str()));
    if entries.clone().all(plain) {
        let field = |(key, of): (&MapKey, &Value)| match key {
            MapKey::Text(text) => (text.clone(), value(of, objects)),
            _ => (String::new(), Json::Null),
        };
        return Json::Object(entries.map(field).collect());
    }
    let pair = |(key, of): (&MapKey, &Value)| json!([self::key(key, objects), value(of, objects)]);
    json!({ "map": entries.map(pair).collect::<Vec<_>>() })
}

/// `{"object":"point"}`, or `{"object":null,"id":"…"}`.
fn reference(id: ObjectId, objects: &dyn Objects) -> Map<String, Json> {
    let name = objects.object(id).and_then(|object| object.name.cloned());
    named(id, name.map(|name| name.to_string()))
}

fn named(id: ObjectId, name: Option<String>) -> Map<String, Json> {
    let mut out = Map::new();
    let unnamed = name.is_none();
    out.insert("object".into(), json!(name));
    if unnamed {
        out.insert("id".into(), json!(id.to_string()));
    }
    out
}

fn slot(of: &Slot, objects: &dyn Objects) -> Json {
    match &of.content {
        SlotContent::Value(of) => value(of, objects),
        SlotContent::Method(of) => json!({ "method": method(of) }),
    }
}

fn method(of: &MethodVersion) -> Json {
    let params: Vec<&str> = of.params.iter().map(AsRef::as_ref).collect();
    json!({ "params": params, "source": of.source, "version": of.number })
}

/// Changes as they are told: one entry a slot, and one for what concerns an object as a whole.
pub(super) fn changes(of: &[Change], objects: &dyn Objects) -> Json {
    let mut out: Vec<Json> = Vec::new();
    let entry = |id: ObjectId, fields: Vec<(&str, Option<Json>)>| {
        // An object deleted by the same turn is still called by its name.
        let deleted = of.iter().find_map(|change| match change {
            Change::Delete(object, _) if object.id == id => object.name.as_ref().map(ToString::to_string),
            _ => None,
        });
        let mut entry = match deleted {
            Some(name) => named(id, Some(name)),
            None => reference(id, objects),
        };
        entry.extend(fields.into_iter().filter_map(|(key, field)| Some((key.to_string(), field?))));
        Json::Object(entry)
    };
    let parents = |ids: &[ObjectId]| -> Json { ids.iter().map(|id| Json::Object(reference(*id, objects))).collect() };
    for change in of {
        let id = change.id();
        match change {
            Change::Create(object, _) => {
                out.push(entry(id, vec![("created", Some(json!(true))), ("parents", Some(parents(&object.parents)))]));
                for (name, own) in object.slots.iter() {
                    out.push(entry(
                        id,
                        vec![("slot", Some(json!(name.as_str()))), ("after", Some(slot(own, objects)))],
                    ));
                }
            }
            Change::Delete(..) => out.push(entry(id, vec![("deleted", Some(json!(true)))])),
            Change::SetSlot { slot: name, before, after, .. } => {
                let told = |of: &Option<Slot>| of.as_ref().map(|of| slot(of, objects));
                let name = Some(json!(name.as_str()));
                out.push(entry(id, vec![("slot", name), ("before", told(before)), ("after", told(after))]));
            }
            Change::EditSlot { slot: name, edits, .. } => {
                let edits = edits.iter().map(|of| edit(of, objects)).collect();
                out.push(entry(id, vec![("slot", Some(json!(name.as_str()))), ("edits", Some(edits))]));
            }
            Change::Rename { before, after, .. } => {
                let name = |name: &Option<crate::object::Name>| json!(name.as_ref().map(ToString::to_string));
                out.push(entry(id, vec![("renamed", Some(json!({ "before": name(before), "after": name(after) })))]));
            }
            Change::SetParents { before, after, .. } => {
                let both = json!({ "before": parents(before), "after": parents(after) });
                out.push(entry(id, vec![("parents", Some(both))]));
            }
            // The slot that changes with it tells the same.
            Change::AddVersion { .. } | Change::RemoveVersion { .. } => {}
        }
    }
    Json::Array(out)
}

/// What changed inside a list or map: `at` are the keys that lead there, an inserted or removed element says so.
fn edit(of: &Edit, objects: &dyn Objects) -> Json {
    let at = |last: Json| Json::Array(of.path.iter().map(|of| key(of, objects)).chain([last]).collect());
    let mut out = Map::new();
    match &of.kind {
        EditKind::Set { key: last, before, after } => {
            out.insert("at".into(), at(key(last, objects)));
            out.extend(before.as_ref().map(|before| ("before".into(), value(before, objects))));
            out.extend(after.as_ref().map(|after| ("after".into(), value(after, objects))));
        }
        EditKind::Insert { place, value: of } => {
            out.insert("at".into(), at(json!(place + 1)));
            out.insert("inserted".into(), value(of, objects));
        }
        EditKind::Remove { place, value: of } => {
            out.insert("at".into(), at(json!(place + 1)));
            out.insert("removed".into(), value(of, objects));
        }
    }
    Json::Object(out)
}

pub(super) fn fault(of: &Fault) -> Json {
    json!({ "kind": of.kind.word(), "message": of.message, "suggestions": of.suggestions, "trace": of.trace })
}

fn target(of: &Target, objects: &dyn Objects) -> Json {
    match of {
        Target::Name(name) => json!(name),
        Target::Id(id) => match objects.object(*id).and_then(|object| object.name) {
            Some(name) => json!(name.as_str()),
            None => json!(format!("@<{id}>")),
        },
    }
}

/// What became of a message: the fields after `line`.
pub(super) fn outcome(sequence: u64, envelope: &Envelope, of: &Outcome, objects: &dyn Objects) -> Map<String, Json> {
    let mut out = Map::new();
    out.insert("seq".into(), json!(sequence));
    let status = match of {
        Outcome::Completed { .. } => "completed",
        Outcome::Failed(_) => "failed",
    };
    out.insert("status".into(), json!(status));
    out.insert("target".into(), target(&envelope.target, objects));
    out.insert("selector".into(), json!(envelope.selector.as_str()));
    match of {
        Outcome::Completed { result, changes: all, logs } => {
            out.insert("result".into(), value(result, objects));
            out.insert("changes".into(), changes(all, objects));
            if !logs.is_empty() {
                out.insert("logs".into(), json!(logs));
            }
        }
        Outcome::Failed(of) => {
            out.insert("error".into(), fault(of));
            if !of.logs.is_empty() {
                out.insert("logs".into(), json!(of.logs));
            }
        }
    }
    out
}

/// `show OBJECT`.
pub(super) fn object(of: ObjectRef<'_>, image: &Image) -> Json {
    let (mut slots, mut methods) = (Map::new(), Map::new());
    for (name, own) in of.slots.iter() {
        match &own.content {
            SlotContent::Value(of) => slots.insert(name.to_string(), value(of, image)),
            SlotContent::Method(of) => methods.insert(name.to_string(), method(of)),
        };
    }
    let from = |(name, holder): (crate::object::Name, ObjectId)| (name.to_string(), json!(image.title(holder)));
    let from: Map<String, Json> = inherited(image, of.id).into_iter().map(from).collect();
    json!({
        "id": of.id.to_string(),
        "name": of.name.map(AsRef::as_ref),
        "parents": parent_titles(of.parents, image),
        "slots": slots,
        "methods": methods,
        "inherited": from,
    })
}

fn parent_titles(parents: &[ObjectId], image: &Image) -> Vec<String> {
    parents.iter().map(|id| image.title(*id)).collect()
}

/// One entry of `show` without an object.
pub(super) fn summary(of: &Object, image: &Image) -> Json {
    let place = |axis| {
        let found = crate::object::lookup(image, of.id, axis);
        found.and_then(|found| found.slot.as_value()).map_or(Json::Null, |of| value(of, image))
    };
    json!({
        "id": of.id.to_string(),
        "name": of.name.as_ref().map(AsRef::as_ref),
        "parents": parent_titles(&of.parents, image),
        "x": place("x"),
        "y": place("y"),
    })
}

/// An entry of the quarantine; its bytes as hexadecimal digits, the first of them.
pub(super) fn quarantined(of: &Quarantined, replica: &Replica) -> Json {
    let (now, up_to) = match of.now {
        Afterwards::Rebuilt { at, whole: true } => ("rebuilt", Some(at)),
        Afterwards::Rebuilt { at, whole: false } => ("rebuilt_in_part", Some(at)),
        Afterwards::Gone => ("gone", None),
        Afterwards::TakenIn => ("taken_in", None),
        Afterwards::Waits if replica.has_problem(of.sequence) => ("waits", None),
        Afterwards::Waits | Afterwards::Lost => ("lost", None),
    };
    json!({
        "number": of.number,
        "database": of.database,
        "kind": of.kind,
        "position": of.position,
        "seq": (of.sequence > 0).then_some(of.sequence),
        "object": of.object.map(|id| reference(id, &replica.image)),
        "reason": of.reason,
        "found_at": of.found_at,
        "writer": of.writer,
        "now": now,
        "rebuilt_up_to": up_to,
        "size": of.size,
        "bytes": of.head.iter().map(|byte| format!("{byte:02x}")).collect::<String>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::Name;
    use std::collections::BTreeMap;

    #[test]
    fn what_json_lacks_is_marked() {
        let mut image = Image::default();
        let mut point = Object::new(ObjectId::genesis("point"));
        point.name = Name::new("point").ok();
        image.insert(point);
        let unnamed = ObjectId::genesis("nobody");
        let text = |of: Value| value(&of, &image).to_string();
        assert_eq!(text(Value::Number(f64::NAN)), r#"{"number":"nan"}"#);
        assert_eq!(text(Value::Number(10.0)), "10");
        assert_eq!(text(Value::Number(-0.0)), "-0.0");
        assert_eq!(text(Value::Number(0.5)), "0.5");
        assert_eq!(text(Value::Object(ObjectId::genesis("point"))), r#"{"object":"point"}"#);
        assert_eq!(text(Value::Object(unnamed)), format!(r#"{{"object":null,"id":"{unnamed}"}}"#));
        let map = |key: MapKey| text(Value::Map(BTreeMap::from([(key, Value::Nil)]).into()));
        assert_eq!(map(MapKey::Text("a".into())), r#"{"a":null}"#);
        assert_eq!(map(MapKey::Text("object".into())), r#"{"map":[["object",null]]}"#);
        assert_eq!(map(MapKey::Number(2.0)), r#"{"map":[[2,null]]}"#);
    }
}
