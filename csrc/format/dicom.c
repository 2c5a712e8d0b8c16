#include "dicom.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rooms.h"

/* Lengths and tags come from a file that anybody may have written: everything is compared with what is left of it. */
typedef struct {
    const char *path;
    const uint8_t *bytes;
    size_t size;
    bool big, explicit_vr;
    bool partial; /* what is there is only the beginning: pixels need not be there */
    lx_dicom *out;
    lx_error *error;
} reader;

enum { MOST_DEPTH = 16, UNDEFINED = -1 };

typedef enum {
    TAG_SYNTAX = 0x00020010,
    TAG_STUDY_DATE = 0x00080020,
    TAG_ACCESSION = 0x00080050,
    TAG_MODALITY = 0x00080060,
    TAG_MANUFACTURER = 0x00080070,
    TAG_NAME = 0x00100010,
    TAG_ID = 0x00100020,
    TAG_BIRTH = 0x00100030,
    TAG_SEX = 0x00100040,
    TAG_AGE = 0x00101010,
    TAG_PADDING = 0x00280120,
    TAG_PADDING_LIMIT = 0x00280121,
    TAG_INTENSITY = 0x00281040,
    TAG_BODY_PART = 0x00180015,
    TAG_DETECTOR_SPACING = 0x00181164,
    TAG_VIEW = 0x00185101,
    TAG_STUDY_UID = 0x0020000d,
    TAG_LATERALITY = 0x00200060,
    TAG_IMAGE_LATERALITY = 0x00200062,
    TAG_SAMPLES = 0x00280002,
    TAG_PHOTOMETRIC = 0x00280004,
    TAG_PLANAR = 0x00280006,
    TAG_FRAMES = 0x00280008,
    TAG_ROWS = 0x00280010,
    TAG_COLUMNS = 0x00280011,
    TAG_SPACING = 0x00280030,
    TAG_ALLOCATED = 0x00280100,
    TAG_STORED = 0x00280101,
    TAG_HIGH_BIT = 0x00280102,
    TAG_SIGNED = 0x00280103,
    TAG_CENTRE = 0x00281050,
    TAG_WIDTH = 0x00281051,
    TAG_INTERCEPT = 0x00281052,
    TAG_SLOPE = 0x00281053,
    TAG_VOI_FUNCTION = 0x00281056,
    TAG_MODALITY_LUT = 0x00283000,
    TAG_LUT_DESCRIPTOR = 0x00283002,
    TAG_LUT_DATA = 0x00283006,
    TAG_VOI_LUT = 0x00283010,
    TAG_LUT_SHAPE = 0x20500020,
    TAG_ITEM = 0xfffee000,
    TAG_ITEM_END = 0xfffee00d,
    TAG_SEQUENCE_END = 0xfffee0dd
} known_tag;

#define TAG_PIXELS 0x7fe00010u

typedef struct {
    uint32_t tag;
    char vr[2];
    const uint8_t *value;
    long length; /* UNDEFINED: until a delimiter */
} element;

static lx_code damaged(const reader *r, const char *what)
{
    return lx_fail(r->error, LX_EFORMAT, "\"%.300s\" is a damaged DICOM file: %s", r->path, what);
}

static uint32_t read16(const reader *r, const uint8_t *at)
{
    return r->big ? (uint32_t)at[0] << 8 | at[1] : (uint32_t)at[1] << 8 | at[0];
}

static uint32_t read32(const reader *r, const uint8_t *at)
{
    const uint32_t first = read16(r, at), second = read16(r, at + 2);
    return r->big ? first << 16 | second : second << 16 | first;
}

/* ---- values ---------------------------------------------------------------------------------------------------- */

/* A text without what fills it up, cut off where there is no more room. What is no printable ASCII shows as "?". */
static void take_text(const element *e, char text[LX_DICOM_TEXT])
{
    long length = e->length < LX_DICOM_TEXT - 1 ? e->length : LX_DICOM_TEXT - 1;
    while (length > 0 && (e->value[length - 1] == ' ' || e->value[length - 1] == 0))
        length--;
    for (long i = 0; i < length; i++)
        text[i] = e->value[i] >= 32 && e->value[i] < 127 ? (char)e->value[i] : '?';
    text[length] = '\0';
}

/* Decimal numbers separated by backslashes; returns how many. Locales do not matter: they are read by hand. Writers
   that went by theirs have put a comma for the point. */
static int take_decimals(const element *e, double *numbers, int room)
{
    int count = 0;
    long at = 0;
    while (at < e->length && count < room) {
        double value = 0, sign = 1;
        int power = 0, power_sign = 1, places = 0;
        bool digits = false;
        while (at < e->length && e->value[at] == ' ')
            at++;
        if (at < e->length && (e->value[at] == '-' || e->value[at] == '+'))
            sign = e->value[at++] == '-' ? -1 : 1;
        for (; at < e->length && e->value[at] >= '0' && e->value[at] <= '9'; at++, digits = true)
            value = value * 10 + (e->value[at] - '0');
        if (at < e->length && (e->value[at] == '.' || e->value[at] == ','))
            for (at++; at < e->length && e->value[at] >= '0' && e->value[at] <= '9'; at++, digits = true)
                value = value * 10 + (e->value[at] - '0'), places++;
        if (at < e->length && (e->value[at] == 'e' || e->value[at] == 'E')) {
            at++;
            if (at < e->length && (e->value[at] == '-' || e->value[at] == '+'))
                power_sign = e->value[at++] == '-' ? -1 : 1;
            for (; at < e->length && e->value[at] >= '0' && e->value[at] <= '9'; at++)
                power = power < 1000 ? power * 10 + (e->value[at] - '0') : power;
        }
        if (!digits)
            return count;
        power = power_sign * power - places;
        numbers[count++] = sign * (power < 0 ? value / pow(10, -power) : value * pow(10, power));
        while (at < e->length && e->value[at] != '\\')
            at++;
        at++;
    }
    return count;
}

static double take_decimal(const element *e, double absent)
{
    double value = absent;
    take_decimals(e, &value, 1);
    return isfinite(value) ? value : absent;
}

static int take_short(const reader *r, const element *e)
{
    return e->length >= 2 ? (int)read16(r, e->value) : 0;
}

/* A stored value: with a sign where pixels have one. */
static int take_level(const reader *r, const element *e)
{
    const int value = take_short(r, e);
    return r->out->is_signed && value >= 1 << 15 ? value - (1 << 16) : value;
}

/* ---- elements -------------------------------------------------------------------------------------------------- */

static bool has_long_length(const char vr[2])
{
    static const char names[] = "OBODOFOLOVOWSQSVUCUNURUTUV";
    for (size_t i = 0; i + 1 < sizeof names; i += 2)
        if (vr[0] == names[i] && vr[1] == names[i + 1])
            return true;
    return false;
}

/* Reads what is before a value, and checks that the value is there. */
static lx_code read_element(const reader *r, size_t *at, size_t end, element *e)
{
    memset(e, 0, sizeof *e);
    if (end - *at < 8)
        return damaged(r, "it breaks off within an element");
    const uint8_t *head = r->bytes + *at;
    e->tag = read16(r, head) << 16 | read16(r, head + 2);
    memcpy(e->vr, "  ", 2);
    uint32_t length = read32(r, head + 4);
    *at += 8;
    if (r->explicit_vr && e->tag >> 16 != 0xfffe) {
        memcpy(e->vr, head + 4, 2);
        length = read16(r, head + 6);
        if (has_long_length(e->vr)) {
            if (end - *at < 4)
                return damaged(r, "it breaks off within an element");
            length = read32(r, head + 8);
            *at += 4;
        }
    }
    e->value = r->bytes + *at;
    e->length = length == 0xffffffff ? UNDEFINED : (long)length;
    const bool pixels_later = r->partial && e->tag == TAG_PIXELS;
    if (e->length != UNDEFINED && (size_t)e->length > end - *at && !pixels_later)
        return lx_fail(r->error, LX_EFORMAT,
                       "\"%.300s\" is truncated: element (%04x,%04x) has %ld bytes, and %zu are left", r->path,
                       (unsigned)e->tag >> 16, (unsigned)e->tag & 0xffff, e->length, end - *at);
    return LX_OK;
}

static lx_code walk(const reader *r, size_t *at, size_t end, uint32_t inside, int depth);

/* The items of a sequence, up to its end or its delimiter. */
static lx_code walk_items(const reader *r, size_t *at, size_t end, uint32_t sequence, int depth)
{
    element item;
    if (depth > MOST_DEPTH)
        return damaged(r, "its sequences are nested too deep");
    for (int number = 0; *at < end; number++) {
        if (read_element(r, at, end, &item))
            return r->error->code;
        if (item.tag == TAG_SEQUENCE_END)
            return LX_OK;
        if (item.tag != TAG_ITEM)
            return damaged(r, "a sequence has something else than items");
        /* of tables of levels the first one counts */
        const uint32_t inside = number == 0 ? sequence : 1;
        const size_t stop = item.length == UNDEFINED ? end : *at + (size_t)item.length;
        if (walk(r, at, stop, inside, depth + 1))
            return r->error->code;
    }
    return LX_OK;
}

/* Passes over the items of compressed pixels, as icons inside sequences have them. */
static lx_code pass_fragments(const reader *r, size_t *at, size_t end)
{
    element item;
    while (*at < end) {
        if (read_element(r, at, end, &item))
            return r->error->code;
        if (item.tag == TAG_SEQUENCE_END)
            return LX_OK;
        if (item.tag != TAG_ITEM || item.length == UNDEFINED)
            return damaged(r, "the compressed pixels of an icon have something else than items");
        *at += (size_t)item.length;
    }
    return LX_OK;
}

static void take_table_element(const reader *r, const element *e, lx_dicom_table *table)
{
    if (e->tag == TAG_LUT_DESCRIPTOR && e->length >= 6) {
        table->count = (long)read16(r, e->value);
        table->count = table->count ? table->count : 65536;
        table->first = r->out->is_signed ? (int16_t)read16(r, e->value + 2) : (long)read16(r, e->value + 2);
        table->bits = (int)read16(r, e->value + 4);
        table->bits = table->bits >= 1 && table->bits <= 16 ? table->bits : 16;
    } else if (e->tag == TAG_LUT_DATA && table->count > 0) {
        table->wide = e->length >= 2 * table->count;
        table->big = r->big;
        table->entries = e->length >= table->count ? e->value : NULL;
    }
}

static void take_text_element(const element *e, lx_dicom *d)
{
    switch (e->tag) {
    case TAG_STUDY_DATE: take_text(e, d->study_date); break;
    case TAG_ACCESSION: take_text(e, d->accession); break;
    case TAG_MODALITY: take_text(e, d->modality); break;
    case TAG_MANUFACTURER: take_text(e, d->manufacturer); break;
    case TAG_NAME: take_text(e, d->patient_name); break;
    case TAG_ID: take_text(e, d->patient_id); break;
    case TAG_BIRTH: take_text(e, d->birth_date); break;
    case TAG_SEX: take_text(e, d->sex); break;
    case TAG_AGE: take_text(e, d->age); break;
    case TAG_BODY_PART: take_text(e, d->body_part); break;
    case TAG_VIEW: take_text(e, d->view); break;
    case TAG_STUDY_UID: take_text(e, d->study_uid); break;
    case TAG_LATERALITY:
        if (!d->laterality[0])
            take_text(e, d->laterality);
        break;
    case TAG_IMAGE_LATERALITY: take_text(e, d->laterality); break;
    case TAG_PHOTOMETRIC: take_text(e, d->photometric); break;
    case TAG_VOI_FUNCTION: take_text(e, d->voi_function); break;
    case TAG_LUT_SHAPE: take_text(e, d->lut_shape); break;
    case TAG_INTENSITY: take_text(e, d->intensity); break;
    default: break;
    }
}

static void take_spacing(const element *e, lx_dicom *d)
{
    double spacing[2];
    if (take_decimals(e, spacing, 2) != 2 || !(spacing[0] > 0 && spacing[1] > 0))
        return;
    /* that in the patient is worth more than that at the detector; where both are the same, nothing was corrected for
       magnification (PS3.3, 10.7.1.3), and it is that at the detector */
    const bool at_detector = e->tag == TAG_DETECTOR_SPACING;
    const bool same = d->spacing[0] == spacing[0] && d->spacing[1] == spacing[1];
    if (at_detector && d->spacing[0] > 0 && !same)
        return;
    d->spacing_at_detector = at_detector || (d->spacing_at_detector && same);
    memcpy(d->spacing, spacing, sizeof spacing);
}

static void take_element(const reader *r, const element *e)
{
    lx_dicom *d = r->out;
    switch (e->tag) {
    case TAG_SAMPLES: d->samples = take_short(r, e); break;
    case TAG_PLANAR: d->planar = take_short(r, e); break;
    case TAG_FRAMES: d->frames = (int)fmin(fmax(take_decimal(e, 1), 1), 1e6); break;
    case TAG_ROWS: d->rows = take_short(r, e); break;
    case TAG_COLUMNS: d->columns = take_short(r, e); break;
    case TAG_ALLOCATED: d->allocated = take_short(r, e); break;
    case TAG_STORED: d->stored = take_short(r, e); break;
    case TAG_HIGH_BIT: d->high_bit = take_short(r, e); break;
    case TAG_SIGNED: d->is_signed = take_short(r, e) & 1; break;
    case TAG_SPACING:
    case TAG_DETECTOR_SPACING: take_spacing(e, d); break;
    case TAG_CENTRE: d->windows = take_decimals(e, d->centre, LX_DICOM_WINDOWS); break;
    case TAG_WIDTH: {
        const int count = take_decimals(e, d->width, LX_DICOM_WINDOWS);
        d->windows = count < d->windows ? count : d->windows;
        break;
    }
    case TAG_PADDING:
        d->has_padding = e->length >= 2;
        d->padding = d->padding_limit = take_level(r, e);
        break;
    case TAG_PADDING_LIMIT: d->padding_limit = take_level(r, e); break;
    case TAG_INTERCEPT: d->intercept = take_decimal(e, 0); break;
    case TAG_SLOPE: d->slope = take_decimal(e, 1); break;
    default: take_text_element(e, d); break;
    }
}

static void take_pixels(const reader *r, const element *e, size_t end)
{
    lx_dicom *d = r->out;
    d->pixels = e->value;
    d->encapsulated = e->length == UNDEFINED;
    d->pixel_bytes = e->length == UNDEFINED ? end - (size_t)(e->value - r->bytes) : (size_t)e->length;
    d->word_pixels = memcmp(e->vr, "OB", 2) != 0;
}

/* The elements from *at on: of the file itself (inside 0), or of an item of a sequence. */
static lx_code walk(const reader *r, size_t *at, size_t end, uint32_t inside, int depth)
{
    while (*at < end) {
        element e;
        if (read_element(r, at, end, &e))
            return r->error->code;
        if (e.tag == TAG_ITEM_END && depth > 0)
            return LX_OK;
        if (e.tag == TAG_PIXELS && depth == 0) {
            take_pixels(r, &e, end);
            return LX_OK; /* nothing that matters comes after them */
        }
        if (e.tag == TAG_PIXELS && e.length == UNDEFINED) {
            if (pass_fragments(r, at, end))
                return r->error->code;
            continue;
        }
        const bool table = depth == 0 && (e.tag == TAG_MODALITY_LUT || e.tag == TAG_VOI_LUT);
        if (e.length == UNDEFINED || table) {
            reader nested = *r;
            if (r->explicit_vr && memcmp(e.vr, "UN", 2) == 0)
                nested.explicit_vr = nested.big = false;
            if (walk_items(&nested, at, e.length == UNDEFINED ? end : *at + (size_t)e.length, e.tag, depth))
                return r->error->code;
            continue;
        }
        *at += (size_t)e.length;
        if (depth == 0)
            take_element(r, &e);
        else if (depth == 1 && inside == TAG_MODALITY_LUT)
            take_table_element(r, &e, &r->out->modality_lut);
        else if (depth == 1 && inside == TAG_VOI_LUT)
            take_table_element(r, &e, &r->out->voi_lut);
    }
    return LX_OK;
}

/* ---- the file -------------------------------------------------------------------------------------------------- */

static bool sniff(const uint8_t *bytes, size_t size)
{
    if (size >= 132 && memcmp(bytes + 128, "DICM", 4) == 0)
        return true;
    /* without preamble: the first element is of group 2 or 8, little endian, and is short */
    return size >= 16 && (bytes[0] == 2 || bytes[0] == 8) && bytes[1] == 0 && bytes[3] == 0 && bytes[2] <= 0x18;
}

static bool is_vr(const uint8_t *at)
{
    return at[0] >= 'A' && at[0] <= 'Z' && at[1] >= 'A' && at[1] <= 'Z';
}

/* The elements of group 2, which are always explicit and little endian: of them the transfer syntax counts. */
static lx_code read_meta(reader *r, size_t *at)
{
    r->explicit_vr = true;
    while (r->size - *at >= 8 && read16(r, r->bytes + *at) == 2) {
        element e;
        if (read_element(r, at, r->size, &e))
            return r->error->code;
        if (e.length == UNDEFINED)
            return damaged(r, "its file information has no end");
        if (e.tag == TAG_SYNTAX)
            take_text(&e, r->out->syntax);
        *at += (size_t)e.length;
    }
    return LX_OK;
}

/* A transfer syntax, and what else converts files of it where the library that it needs was not there at build time. */
typedef struct {
    const char *uid;
    lx_dicom_coding coding;
    bool big, implicit, deflated;
    const char *name, *package, *tool;
} syntax;

#define JPEG_LS "JPEG-LS", "libcharls-dev", "dcmdjpls"
#define JPEG_2000 "JPEG 2000", "libopenjp2-7-dev", "gdcmconv --raw"

static const syntax syntaxes[] = {
    {"1.2.840.10008.1.2", LX_DICOM_PLAIN, false, true, false, NULL, NULL, NULL},
    {"1.2.840.10008.1.2.1", LX_DICOM_PLAIN, false, false, false, NULL, NULL, NULL},
    {"1.2.840.10008.1.2.1.99", LX_DICOM_PLAIN, false, false, true, "deflated form", "zlib1g-dev", "dcmconv +te"},
    {"1.2.840.10008.1.2.2", LX_DICOM_PLAIN, true, false, false, NULL, NULL, NULL},
    {"1.2.840.10008.1.2.5", LX_DICOM_RLE, false, false, false, NULL, NULL, NULL},
    {"1.2.840.10008.1.2.4.50", LX_DICOM_JPEG, false, false, false, NULL, NULL, NULL},
    {"1.2.840.10008.1.2.4.51", LX_DICOM_JPEG, false, false, false, NULL, NULL, NULL},
    {"1.2.840.10008.1.2.4.57", LX_DICOM_JPEG_LOSSLESS, false, false, false, NULL, NULL, NULL},
    {"1.2.840.10008.1.2.4.70", LX_DICOM_JPEG_LOSSLESS, false, false, false, NULL, NULL, NULL},
    {"1.2.840.10008.1.2.4.80", LX_DICOM_JPEG_LS, false, false, false, JPEG_LS},
    {"1.2.840.10008.1.2.4.81", LX_DICOM_JPEG_LS, false, false, false, JPEG_LS},
    {"1.2.840.10008.1.2.4.90", LX_DICOM_JPEG2000, false, false, false, JPEG_2000},
    {"1.2.840.10008.1.2.4.91", LX_DICOM_JPEG2000, false, false, false, JPEG_2000}};

static bool can_inflate(void)
{
#ifdef LX_ZLIB
    return true;
#else
    return false;
#endif
}

static bool is_available(const syntax *s)
{
    if (s->deflated)
        return can_inflate();
    return s->coding == LX_DICOM_JPEG_LS ? lx_jpegls_available()
                                         : s->coding != LX_DICOM_JPEG2000 || lx_jpeg2000_available();
}

/* Progressive JPEG of more than 8 bits, films, and what came later. */
static lx_code refuse_syntax(const reader *r)
{
    static const char jpeg[] = "1.2.840.10008.1.2.4.5";
    const bool is_jpeg = strncmp(r->out->syntax, jpeg, sizeof jpeg - 1) == 0;
    return lx_fail(r->error, LX_EFORMAT,
                   "\"%.300s\" is a DICOM file in transfer syntax %s, which is not supported; convert it with "
                   "%s",
                   r->path, r->out->syntax, is_jpeg ? "dcmdjpeg" : "gdcmconv --raw");
}

static lx_code choose_syntax(reader *r, bool *deflated)
{
    lx_dicom *d = r->out;
    *deflated = false;
    for (size_t i = 0; i < sizeof syntaxes / sizeof *syntaxes && d->syntax[0]; i++) {
        const syntax *s = &syntaxes[i];
        if (strcmp(s->uid, d->syntax) != 0)
            continue;
        if (!is_available(s))
            return lx_fail(r->error, LX_EFORMAT,
                           "\"%.300s\" is a DICOM file in %s, which this build does not read (package %s was "
                           "not there); convert it with %s",
                           r->path, s->name, s->package, s->tool);
        r->big = d->big = s->big;
        r->explicit_vr = !s->implicit;
        d->coding = s->coding;
        *deflated = s->deflated;
        return LX_OK;
    }
    return d->syntax[0] ? refuse_syntax(r) : LX_OK;
}

/* Whether elements say their types, whatever the file says of that: writers have been wrong about it. */
static void see_types(reader *r, size_t at)
{
    if (!r->big && r->size - at >= 8)
        r->explicit_vr = is_vr(r->bytes + at + 4);
    r->out->explicit_vr = r->explicit_vr;
}

/* ---- deflated data sets (PS3.5 annex A.5) ---------------------------------------------------------------------------
 */

#ifdef LX_ZLIB

#include <zlib.h>

enum { HEAD = 1 << 20 }; /* so much of a data set has to hold all that is before its pixels */

/* Inflates at most `room` bytes; *size is how many there were. */
static lx_code inflate_into(const reader *r, size_t at, uint8_t *out, size_t room, size_t *size)
{
    z_stream z = {.next_in = (Bytef *)(uintptr_t)(r->bytes + at),
                  .avail_in = (uInt)(r->size - at),
                  .next_out = out,
                  .avail_out = (uInt)room};
    if (inflateInit2(&z, -MAX_WBITS) != Z_OK)
        return lx_fail(r->error, LX_ENOMEM, "\"%.300s\": out of memory", r->path);
    const int result = inflate(&z, Z_SYNC_FLUSH);
    *size = room - z.avail_out;
    inflateEnd(&z);
    if (result == Z_MEM_ERROR)
        return lx_fail(r->error, LX_ENOMEM, "\"%.300s\": out of memory", r->path);
    if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR)
        return damaged(r, "its deflated part cannot be inflated");
    return LX_OK;
}

static lx_code inflate_data_set(reader *r, size_t at)
{
    size_t size;
    uint8_t *head = malloc(HEAD);
    if (!head)
        return lx_fail(r->error, LX_ENOMEM, "\"%.300s\": out of memory", r->path);
    if (inflate_into(r, at, head, HEAD, &size)) {
        free(head);
        return r->error->code;
    }
    /* the head tells how long the rest is, so that no file makes us reserve more than its picture takes */
    lx_dicom seen = *r->out;
    lx_error unheard = {.code = LX_OK};
    reader peek = *r;
    size_t from = 0;
    peek.bytes = head;
    peek.size = size;
    peek.out = &seen;
    peek.error = &unheard;
    peek.partial = true;
    see_types(&peek, 0);
    const bool found = !walk(&peek, &from, size, 0, 0) && seen.pixels;
    const size_t most = (size_t)seen.rows * (size_t)seen.columns * (size_t)seen.samples * (size_t)seen.frames * 2 + 2;
    r->out->inflated = head;
    if (size == HEAD) { /* there may be more */
        if (!found || seen.encapsulated || seen.pixel_bytes > most || seen.pixel_bytes > LX_IMAGE_MAX_BYTES)
            return damaged(r, "its deflated part begins with no picture");
        const size_t whole = (size_t)(seen.pixels - head) + seen.pixel_bytes;
        uint8_t *larger = realloc(head, whole > HEAD ? whole : HEAD);
        if (!larger)
            return lx_fail(r->error, LX_ENOMEM, "\"%.300s\": out of memory for %zu bytes", r->path, whole);
        r->out->inflated = larger;
        if (inflate_into(r, at, larger, whole, &size))
            return r->error->code;
    }
    r->bytes = r->out->inflated;
    r->size = size;
    return LX_OK;
}

#else

static lx_code inflate_data_set(reader *r, size_t at)
{
    (void)at;
    return damaged(r, "its deflated part cannot be inflated");
}

#endif

/* ---- what can be shown
 * ------------------------------------------------------------------------------------------------ */

static lx_code check_image(const reader *r)
{
    const lx_dicom *d = r->out;
    if (!d->pixels)
        return lx_fail(r->error, LX_EFORMAT, "\"%.300s\" is a DICOM file without an image", r->path);
    if (d->rows < 1 || d->columns < 1)
        return damaged(r, "it does not say how large its image is");
    if (d->rows > LX_IMAGE_MAX_SIDE || d->columns > LX_IMAGE_MAX_SIDE ||
        (int64_t)d->rows * d->columns > LX_IMAGE_MAX_PIXELS)
        return lx_fail(r->error, LX_EFORMAT,
                       "\"%.300s\" is too large: %d x %d pixels, and the limit is %d a side and %d million "
                       "in all",
                       r->path, d->columns, d->rows, LX_IMAGE_MAX_SIDE, LX_IMAGE_MAX_PIXELS / 1000000);
    if (d->samples != 1 && d->samples != 3)
        return lx_fail(r->error, LX_EFORMAT, "\"%.300s\" has %d samples to a pixel; 1 and 3 are supported", r->path,
                       d->samples);
    if ((d->allocated != 8 && d->allocated != 16) || d->stored < 1 || d->stored > d->allocated ||
        d->high_bit >= d->allocated || d->high_bit + 1 < d->stored)
        return lx_fail(r->error, LX_EFORMAT,
                       "\"%.300s\" stores %d bits of %d (high bit %d); 8 and 16 allocated are supported", r->path,
                       d->stored, d->allocated, d->high_bit);
    const char *p = d->photometric;
    const bool grey = strcmp(p, "MONOCHROME1") == 0 || strcmp(p, "MONOCHROME2") == 0 || p[0] == '\0';
    const bool colour = strcmp(p, "RGB") == 0 || strncmp(p, "YBR_FULL", 8) == 0 || strcmp(p, "YBR_RCT") == 0 ||
                        strcmp(p, "YBR_ICT") == 0;
    if (d->samples == 1 ? !grey : !colour)
        return lx_fail(r->error, LX_EFORMAT,
                       "\"%.300s\" has %d samples of photometric interpretation %s, which is not supported", r->path,
                       d->samples, p);
    if (strcmp(p, "YBR_FULL_422") == 0 && d->coding != LX_DICOM_JPEG)
        return lx_fail(r->error, LX_EFORMAT, "\"%.300s\" has uncompressed YBR_FULL_422, which is not supported",
                       r->path);
    return LX_OK;
}

lx_code lx_dicom_parse(const char *path, const uint8_t *bytes, size_t size, lx_dicom *dicom, lx_error *error)
{
    reader r = {.path = path, .bytes = bytes, .size = size, .out = dicom, .error = error};
    size_t at = size >= 132 && memcmp(bytes + 128, "DICM", 4) == 0 ? 132 : 0;
    bool deflated;
    memset(dicom, 0, sizeof *dicom);
    dicom->samples = dicom->frames = 1;
    dicom->slope = 1;
    if (read_meta(&r, &at) || choose_syntax(&r, &deflated))
        return error->code;
    if (deflated) {
        if (inflate_data_set(&r, at))
            return error->code;
        at = 0;
    }
    see_types(&r, at);
    if (walk(&r, &at, r.size, 0, 0))
        return error->code;
    if (!dicom->stored)
        dicom->stored = dicom->allocated;
    if (!dicom->high_bit)
        dicom->high_bit = dicom->stored - 1;
    return check_image(&r);
}

void lx_dicom_forget(lx_dicom *dicom)
{
    free(dicom->inflated);
    dicom->inflated = NULL;
    dicom->pixels = NULL;
    dicom->modality_lut.entries = dicom->voi_lut.entries = NULL;
}

/* ---- the row of the table --------------------------------------------------------------------------------------- */

static lx_code inspect(const lx_input *in, lx_image_info *info, lx_dicom *dicom)
{
    if (lx_dicom_parse(in->name, in->bytes, in->size, dicom, in->error))
        return in->error->code;
    info->width = dicom->columns;
    info->height = dicom->rows;
    info->channels = dicom->samples;
    info->bits = dicom->stored;
    info->frames = dicom->frames;
    return LX_OK;
}

static lx_code decode(const lx_input *in, const lx_read_options *options, lx_picture *picture, lx_image_info *info,
                      lx_dicom *dicom)
{
    return inspect(in, info, dicom) ? in->error->code : lx_dicom_decode(in->name, dicom, options, picture, in->error);
}

const lx_format lx_dicom_file = {"DICOM", "dcm dicom", sniff, inspect, decode};
