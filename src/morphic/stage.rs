//! The stage: every card as sprites and texts, drawn anew only where its face differs.
//!
//! World units grow downwards, Bevy's y upwards: a place `(x, y)` is drawn at `(x, -y)`.

use super::face::{MARGIN, NAME_SIZE, ROW_HEIGHT, ROW_SIZE, TITLE_HEIGHT, Words};
use super::measure::{Face, width_of};
use super::tokens::{self, Rgb};
use super::{Bounds, CardFace, Mirror, Seating, Viewpoint, card_face, card_size};
use crate::object::{ObjectId, Objects};
use bevy::asset::RenderAssetUsages;
use bevy::prelude::*;
use bevy::render::render_resource::{Extent3d, TextureDimension, TextureFormat};
use bevy::sprite::{Anchor, BorderRect, SliceScaleMode, SpriteImageMode, TextureSlicer};
use std::collections::{BTreeMap, BTreeSet};

/// Depth of all cards together; ±1,000 is all there is. The chosen one lies above.
const DEPTH: f32 = 600.0;
/// Height of a line of text against the size of its font, as Bevy lays it out.
const LINE_HEIGHT: f32 = 1.2;
/// Pixels of a rounded corner in its texture.
const CORNER_PIXELS: u32 = 16;
/// Side and corner of the mark that tells the kind, in units.
const MARK: [f32; 2] = [10.0, 3.0];
/// Largest title of a card that shows nothing else, in units.
const LARGE_TITLE: f32 = 34.0;
/// Dots along a side of the ground's tile: each tile is a slice, and thousands of slices are slow.
const TILE_DOTS: u32 = 8;

/// How a card stands out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Emphasis {
    /// As any other.
    #[default]
    None,
    /// Under the pointer.
    Hovered,
    /// Chosen.
    Selected,
}

/// How much of a card is drawn: what could not be read is left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Detail {
    #[default]
    Whole,
    Title,
    Tile,
}

impl Detail {
    fn at(zoom: f32) -> Self {
        match zoom {
            zoom if zoom < 0.15 => Self::Tile,
            zoom if zoom < 0.4 => Self::Title,
            _ => Self::Whole,
        }
    }
}

struct Card {
    entity: Entity,
    detail: Detail,
    face: CardFace,
    place: [f32; 2],
    emphasis: Emphasis,
}

/// What is drawn now, and with what.
#[derive(Resource)]
pub struct Stage {
    cards: BTreeMap<ObjectId, Card>,
    seating: Seating,
    fonts: Fonts,
    rounded: Handle<Image>,
    dot: Handle<Image>,
    ground: Option<(Entity, Option<Bounds>)>,
    detail: Detail,
}

struct Fonts {
    regular: Handle<Font>,
    semi_bold: Handle<Font>,
    mono: Handle<Font>,
}

impl FromWorld for Stage {
    fn from_world(world: &mut World) -> Self {
        let mut images = world.resource_mut::<Assets<Image>>();
        let (rounded, dot) = (images.add(rounded_square()), images.add(ground_tile()));
        let mut fonts = world.resource_mut::<Assets<Font>>();
        let mut font = |bytes: &[u8]| fonts.add(Font::from_bytes(bytes.to_vec()));
        let fonts = Fonts {
            regular: font(tokens::INTER),
            semi_bold: font(tokens::INTER_SEMI_BOLD),
            mono: font(tokens::JETBRAINS_MONO),
        };
        Self {
            cards: BTreeMap::new(),
            seating: Seating::default(),
            fonts,
            rounded,
            dot,
            ground: None,
            detail: Detail::Whole,
        }
    }
}

impl Stage {
    /// Bounds of a card as it is drawn.
    pub fn bounds(&self, id: ObjectId) -> Option<Bounds> {
        self.cards.get(&id).map(|card| Bounds::new(card.place, card.face.size))
    }

    /// The card on top at a world point. Rotation is not looked at.
    pub fn card_at(&self, point: [f32; 2]) -> Option<ObjectId> {
        let found = self.cards.iter().filter(|(_, card)| Bounds::new(card.place, card.face.size).contains(point));
        found.max_by_key(|(id, card)| (card.emphasis == Emphasis::Selected, **id)).map(|(id, _)| *id)
    }

    /// Bounds of all cards.
    pub fn all(&self) -> Option<Bounds> {
        self.cards.keys().filter_map(|id| self.bounds(*id)).reduce(Bounds::union)
    }

    /// How many cards there are.
    pub fn len(&self) -> usize {
        self.cards.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.cards.is_empty()
    }

    /// Draws what changed, as it can be seen at this zoom. `carried` is shown so far from its place; `emphasis` is looked up for each card.
    pub fn draw(
        &mut self,
        commands: &mut Commands,
        mirror: &Mirror,
        touched: &BTreeSet<ObjectId>,
        zoom: f32,
        carried: Option<(ObjectId, [f32; 2])>,
        emphasis: impl Fn(ObjectId) -> Emphasis,
    ) {
        // An inherited slot may show on every heir; a rename on everything that points there.
        let mut stale = mirror.heirs(touched.iter().copied());
        let moved = self.seating.update(mirror, &stale);
        stale.extend(mirror.heirs(moved));
        if let Some((id, _)) = carried {
            stale.insert(id);
        }
        let detail = Detail::at(zoom);
        if std::mem::replace(&mut self.detail, detail) != detail {
            stale.extend(self.cards.keys());
        }
        stale.extend(self.cards.iter().filter(|(id, card)| card.emphasis != emphasis(**id)).map(|(id, _)| *id));
        let places = self.seating.places(mirror, &stale, &|id| card_size(mirror, id));
        for (id, place) in places {
            self.draw_card(commands, mirror, id, place, carried, emphasis(id));
        }
    }

    /// Draws the dots of the ground around what is seen; below half size they would only be noise.
    pub fn draw_ground(&mut self, commands: &mut Commands, view: &Viewpoint, window: [f32; 2]) {
        let origin = view.drawn_origin();
        let tile = tokens::GRID_UNITS * TILE_DOTS as f32;
        let grid = |from: f32, size: f32| {
            let (first, last) = ((from / tile).floor(), ((from + size / view.zoom) / tile).ceil());
            (first * tile, last * tile)
        };
        let ((left, right), (top, bottom)) = (grid(origin[0], window[0]), grid(origin[1], window[1]));
        let shown = (view.zoom >= 0.5).then_some(Bounds { min: [left, top], max: [right, bottom] });
        if self.ground.as_ref().is_some_and(|(_, drawn)| *drawn == shown) {
            return;
        }
        if let Some((entity, _)) = self.ground.take() {
            commands.entity(entity).despawn();
        }
        let mut ground = commands.spawn_empty();
        if let Some(bounds) = shown {
            let ([width, height], [x, y]) = (bounds.size(), bounds.center());
            let image_mode = SpriteImageMode::Tiled { tile_x: true, tile_y: true, stretch_value: 1.0 };
            let sprite = Sprite {
                image: self.dot.clone(),
                color: color(tokens::GRID_DOT),
                custom_size: Some(Vec2::new(width, height)),
                image_mode,
                ..default()
            };
            ground.insert((sprite, Transform::from_xyz(x, -y, -10.0)));
        }
        self.ground = Some((ground.id(), shown));
    }

    fn draw_card(
        &mut self,
        commands: &mut Commands,
        mirror: &Mirror,
        id: ObjectId,
        mut place: [f32; 2],
        carried: Option<(ObjectId, [f32; 2])>,
        emphasis: Emphasis,
    ) {
        let Some(face) = mirror.image().object(id).and_then(|_| card_face(mirror, id)) else {
            if let Some(card) = self.cards.remove(&id) {
                commands.entity(card.entity).despawn();
            }
            return;
        };
        if let Some((_, by)) = carried.filter(|(carried, _)| *carried == id) {
            place = [place[0] + by[0], place[1] + by[1]];
        }
        let depth = match emphasis {
            Emphasis::Selected => DEPTH + 1.0,
            _ => DEPTH * depth_of(id),
        };
        let center = Vec3::new(place[0] + face.size[0] / 2.0, -(place[1] + face.size[1] / 2.0), depth);
        let transform =
            Transform::from_translation(center).with_rotation(Quat::from_rotation_z(-face.rotation.to_radians()));
        if let Some(card) = self.cards.get_mut(&id) {
            if card.face == face && card.emphasis == emphasis && card.detail == self.detail {
                if card.place != place {
                    card.place = place;
                    commands.entity(card.entity).insert(transform);
                }
                return;
            }
            commands.entity(card.entity).despawn();
        }
        let entity = self.spawn(commands, &face, emphasis, transform);
        self.cards.insert(id, Card { entity, detail: self.detail, face, place, emphasis });
    }

    fn spawn(&self, commands: &mut Commands, face: &CardFace, emphasis: Emphasis, transform: Transform) -> Entity {
        let [width, height] = face.size;
        let border = match emphasis {
            Emphasis::Selected => tokens::AMBER,
            Emphasis::Hovered => tokens::SOFT,
            Emphasis::None if face.faulty => tokens::RED,
            Emphasis::None => tokens::LINE,
        };
        let outline = if emphasis == Emphasis::Selected { 2.0 } else { 1.0 };
        let left = -width / 2.0;
        let top = height / 2.0;
        commands
            .spawn((transform, Visibility::default()))
            .with_children(|card| {
                let around = [width, height].map(|side| side + 2.0 * outline);
                card.spawn(self.rounded(border, around, tokens::CARD_CORNER + outline, 0.0));
                let body = if self.detail == Detail::Tile { face.color } else { tokens::RAISED };
                card.spawn(self.rounded(body, [width, height], tokens::CARD_CORNER, 0.001));
                match self.detail {
                    Detail::Tile => return,
                    Detail::Title => {
                        let room = width - 2.0 * MARGIN;
                        let wide = width_of(&face.title.text, Face::SemiBold, NAME_SIZE).max(1.0);
                        let size = (NAME_SIZE * room / wide).clamp(NAME_SIZE, LARGE_TITLE).floor();
                        card.spawn(self.text(&face.title, &self.fonts.semi_bold, size, left + MARGIN, 0.0, false));
                        return;
                    }
                    Detail::Whole => {}
                }
                let [side, corner] = MARK;
                let mut mark = self.rounded(face.color, [side; 2], corner, 0.003);
                mark.1.translation = Vec3::new(left + MARGIN + side / 2.0, top - TITLE_HEIGHT / 2.0, 0.003);
                card.spawn(mark);
                let middle = top - TITLE_HEIGHT / 2.0;
                card.spawn(self.text(
                    &face.title,
                    &self.fonts.semi_bold,
                    NAME_SIZE,
                    left + MARGIN + 17.0,
                    middle,
                    false,
                ));
                card.spawn(self.text(&face.prototype, &self.fonts.regular, ROW_SIZE, -left - MARGIN, middle, true));
                if !face.rows.is_empty() {
                    let line = Sprite::from_color(color(tokens::LINE), Vec2::new(width, 1.0));
                    card.spawn((line, Transform::from_xyz(0.0, top - TITLE_HEIGHT, 0.002)));
                }
                for (place, row) in face.rows.iter().enumerate() {
                    let middle = top - TITLE_HEIGHT - 3.0 - (place as f32 + 0.5) * ROW_HEIGHT;
                    card.spawn(self.text(&row.left, &self.fonts.mono, ROW_SIZE, left + MARGIN, middle, false));
                    card.spawn(self.text(&row.right, &self.fonts.mono, ROW_SIZE, -left - MARGIN, middle, true));
                }
            })
            .id()
    }

    fn rounded(&self, of: Rgb, size: [f32; 2], corner: f32, depth: f32) -> (Sprite, Transform) {
        let slicer = TextureSlicer {
            border: BorderRect::all(CORNER_PIXELS as f32),
            center_scale_mode: SliceScaleMode::Stretch,
            sides_scale_mode: SliceScaleMode::Stretch,
            // The texture is drawn at twice the size of a corner, so that it stays smooth when seen closely.
            max_corner_scale: corner / CORNER_PIXELS as f32,
        };
        let sprite = Sprite {
            image: self.rounded.clone(),
            color: color(of),
            custom_size: Some(Vec2::from(size)),
            image_mode: SpriteImageMode::Sliced(slicer),
            ..default()
        };
        (sprite, Transform::from_xyz(0.0, 0.0, depth))
    }

    fn text(
        &self,
        words: &Words,
        font: &Handle<Font>,
        size: f32,
        x: f32,
        y: f32,
        at_right: bool,
    ) -> (Text2d, TextFont, TextColor, Anchor, Transform) {
        let face = match font {
            font if *font == self.fonts.mono => Face::Mono,
            font if *font == self.fonts.semi_bold => Face::SemiBold,
            _ => Face::Regular,
        };
        // Placed by its upper left corner on whole units: a text that is centred lies between pixels and blurs.
        let x = if at_right { (x - width_of(&words.text, face, size)).round() } else { x };
        let y = y + (size * LINE_HEIGHT / 2.0).round();
        let font = TextFont { font: font.into(), ..TextFont::from_font_size(size) };
        (
            Text2d::new(words.text.clone()),
            font,
            TextColor(color(words.color)),
            Anchor::TOP_LEFT,
            Transform::from_xyz(x, y, 0.004),
        )
    }
}

/// Where among the others a card lies, from 0 to 1: in the order of the ids, which are as good as random, whatever comes
/// and goes.
fn depth_of(id: ObjectId) -> f32 {
    (id.0.as_u128() >> 104) as f32 / (1_u32 << 24) as f32
}

/// A colour of the tokens for Bevy.
pub fn color(of: Rgb) -> Color {
    Color::srgb_u8(of.0, of.1, of.2)
}

/// Dots of two pixels, as far apart as the ground's grid has units.
fn ground_tile() -> Image {
    let step = tokens::GRID_UNITS as u32;
    let side = step * TILE_DOTS;
    let pixels = (0..side * side).flat_map(|at| {
        let cover = if at % side % step < 2 && at / side % step < 2 { 255 } else { 0 };
        [255, 255, 255, cover]
    });
    let size = Extent3d { width: side, height: side, depth_or_array_layers: 1 };
    let format = TextureFormat::Rgba8UnormSrgb;
    Image::new(size, TextureDimension::D2, pixels.collect(), format, RenderAssetUsages::RENDER_WORLD)
}

/// A white square with round corners, to be tinted and cut into nine.
fn rounded_square() -> Image {
    let side = 4 * CORNER_PIXELS;
    let radius = CORNER_PIXELS as f32;
    let mut pixels = Vec::with_capacity((side * side * 4) as usize);
    for y in 0..side {
        for x in 0..side {
            let inside = |at: u32| {
                let at = at as f32 + 0.5;
                (radius - at).max(at - (side as f32 - radius)).max(0.0)
            };
            let distance = inside(x).hypot(inside(y));
            let cover = (radius - distance + 0.5).clamp(0.0, 1.0);
            pixels.extend([255, 255, 255, (cover * 255.0) as u8]);
        }
    }
    let size = Extent3d { width: side, height: side, depth_or_array_layers: 1 };
    Image::new(size, TextureDimension::D2, pixels, TextureFormat::Rgba8UnormSrgb, RenderAssetUsages::RENDER_WORLD)
}
