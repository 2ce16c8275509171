/* What comes in: YAML with nested sections or dotted names. What goes out: the settings laid over a recipe, and a
 * recipe's settings as YAML. */
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/file.h"
#include "base/yaml_depth.h"
#include "model/recipe_settings.h"

/* No recipe comes near; a data file given by mistake is refused before it is parsed. */
enum { MAX_YAML_BYTES = 1 << 20, MAX_NAME_BYTES = 1024 };

/* ---- reading: the document's tree is walked; every scalar or list at its end is a setting whose name is the way to
 * it */

typedef struct yaml_walk {
  const char *file;
  yaml_document_t *document;
  dfm_recipe *recipe;
  dfm_error *error;
} yaml_walk;

static dfm_status fail_at_mark(const yaml_walk *walk, yaml_mark_t mark, dfm_status status, const char *message) {
  return dfm_fail_at(walk->error, status, walk->file, (long long)mark.line + 1, (long long)mark.column + 1, "%s",
                     message);
}

static const char *scalar_text(const yaml_node_t *node) {
  const char *text = (const char *)node->data.scalar.value;
  const bool is_plain = node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
  return is_plain && (strcmp(text, "~") == 0 || strcmp(text, "null") == 0) ? "" : text;
}

static bool has_nul(const yaml_node_t *node) {
  return memchr(node->data.scalar.value, 0, node->data.scalar.length) != NULL;
}

/* "a, b" from a sequence of scalars. */
static dfm_status join_items(const yaml_walk *walk, const yaml_node_t *node, dfm_text *text) {
  DFM_TRY(dfm_text_add(text, "[", 1, walk->error));
  for (const yaml_node_item_t *i = node->data.sequence.items.start; i < node->data.sequence.items.top; i++) {
    const yaml_node_t *item = yaml_document_get_node(walk->document, *i);
    if (item->type != YAML_SCALAR_NODE || has_nul(item))
      return fail_at_mark(walk, item->start_mark, DFM_ERROR_FORMAT,
                          "a list of numbers or words is wanted here; remove what is nested");
    DFM_TRY(dfm_text_printf(text, walk->error, "%s%s", text->length > 1 ? "," : "", scalar_text(item)));
  }
  return dfm_text_add(text, "]", 1, walk->error);
}

static dfm_status set_node(const yaml_walk *walk, const char *name, const yaml_node_t *key, const yaml_node_t *node) {
  dfm_text list = {0};
  dfm_error inner;
  dfm_status status = DFM_OK;
  if (node->type == YAML_SEQUENCE_NODE) status = join_items(walk, node, &list);
  if (status == DFM_OK) {
    const char *value = node->type == YAML_SEQUENCE_NODE ? list.bytes : scalar_text(node);
    status = dfm_recipe_set(walk->recipe, name, value, &inner);
    if (status != DFM_OK) {
      const bool is_known = dfm_setting_find(name) || strncmp(name, "fields.", 7) == 0;
      fail_at_mark(walk, is_known ? node->start_mark : key->start_mark, status, inner.message);
    }
  }
  free(list.bytes);
  return status;
}

static dfm_status check_key(const yaml_walk *walk, const yaml_node_t *mapping, const yaml_node_pair_t *pair) {
  const yaml_node_t *key = yaml_document_get_node(walk->document, pair->key);
  if (key->type != YAML_SCALAR_NODE || key->data.scalar.length == 0 || has_nul(key))
    return fail_at_mark(walk, key->start_mark, DFM_ERROR_FORMAT, "a key must be a name; write 'name: value'");
  for (const yaml_node_pair_t *other = mapping->data.mapping.pairs.start; other < pair; other++) {
    const yaml_node_t *before = yaml_document_get_node(walk->document, other->key);
    if (strcmp((const char *)before->data.scalar.value, (const char *)key->data.scalar.value) != 0) continue;
    dfm_error inner;
    char shown[DFM_SHOW_BYTES];
    dfm_fail(&inner, DFM_ERROR_FORMAT, "'%s' stands here twice, first on line %zu; remove one of the two",
             dfm_show(shown, (const char *)key->data.scalar.value, key->data.scalar.length),
             before->start_mark.line + 1);
    return fail_at_mark(walk, key->start_mark, DFM_ERROR_FORMAT, inner.message);
  }
  return DFM_OK;
}

/* Settings are "name" or "section.name", fields' are "fields.NAME.KEY": deeper is refused, so that aliases cannot
 * lead round in circles. */
static dfm_status walk_mapping(const yaml_walk *walk, const yaml_node_t *mapping, const char *prefix, int depth) {
  for (const yaml_node_pair_t *pair = mapping->data.mapping.pairs.start; pair < mapping->data.mapping.pairs.top;
       pair++) {
    DFM_TRY(check_key(walk, mapping, pair));
    const yaml_node_t *key = yaml_document_get_node(walk->document, pair->key);
    const yaml_node_t *node = yaml_document_get_node(walk->document, pair->value);
    char name[MAX_NAME_BYTES];
    const int n = snprintf(name, sizeof name, "%s%s", prefix, (const char *)key->data.scalar.value);
    if (n >= (int)sizeof name - 1)
      return fail_at_mark(walk, key->start_mark, DFM_ERROR_FORMAT, "this name is longer than 1022 bytes");
    if (node->type == YAML_SCALAR_NODE && has_nul(node))
      return fail_at_mark(walk, node->start_mark, DFM_ERROR_FORMAT, "this value holds a NUL byte; remove it");
    if (node->type != YAML_MAPPING_NODE) {
      DFM_TRY(set_node(walk, name, key, node));
      continue;
    }
    if (depth == 3 || dfm_setting_find(name))
      return fail_at_mark(walk, node->start_mark, DFM_ERROR_FORMAT, "one value is wanted here; remove what is nested");
    name[n] = '.';
    name[n + 1] = 0;
    DFM_TRY(walk_mapping(walk, node, name, depth + 1));
  }
  return DFM_OK;
}

static dfm_status walk_document(yaml_walk *walk) {
  const yaml_node_t *root = yaml_document_get_root_node(walk->document);
  const bool is_empty = !root || (root->type == YAML_SCALAR_NODE && *scalar_text(root) == 0);
  if (is_empty) return DFM_OK;
  if (root->type != YAML_MAPPING_NODE)
    return fail_at_mark(walk, root->start_mark, DFM_ERROR_FORMAT,
                        "a recipe is settings as 'name: value', one on each line");
  return walk_mapping(walk, root, "", 1);
}

static dfm_status parser_failure(const yaml_parser_t *parser, const char *name, dfm_error *error) {
  if (parser->error == YAML_MEMORY_ERROR) return dfm_fail(error, DFM_ERROR_MEMORY, "%s: no memory to parse it", name);
  const bool is_reader = parser->error == YAML_READER_ERROR;
  const long long line = is_reader ? (long long)parser->mark.line + 1 : (long long)parser->problem_mark.line + 1;
  const long long column = is_reader ? 0 : (long long)parser->problem_mark.column + 1;
  return dfm_fail_at(error, DFM_ERROR_FORMAT, name, line, column, "not YAML: %s%s%s",
                     parser->problem ? parser->problem : "it cannot be read", parser->context ? " " : "",
                     parser->context ? parser->context : "");
}

/* A second document would be read by nobody. */
static dfm_status check_end(yaml_parser_t *parser, const char *name, dfm_error *error) {
  yaml_document_t next;
  if (!yaml_parser_load(parser, &next)) return parser_failure(parser, name, error);
  const yaml_node_t *root = yaml_document_get_root_node(&next);
  const long long line = root ? (long long)root->start_mark.line + 1 : 0;
  yaml_document_delete(&next);
  return root ? dfm_fail_at(error, DFM_ERROR_FORMAT, name, line, 0,
                            "a second document begins here; a recipe is one document")
              : DFM_OK;
}

static dfm_status parse_bytes(dfm_recipe *recipe, const unsigned char *bytes, size_t n, const char *name,
                              dfm_error *error) {
  yaml_parser_t parser;
  yaml_document_t document;
  DFM_TRY(dfm_yaml_check_depth(bytes, n, name, error));
  if (!yaml_parser_initialize(&parser)) return dfm_fail(error, DFM_ERROR_MEMORY, "%s: no memory to parse it", name);
  yaml_parser_set_input_string(&parser, bytes, n);
  dfm_status status;
  if (!yaml_parser_load(&parser, &document)) {
    status = parser_failure(&parser, name, error);
  } else {
    status = walk_document(&(yaml_walk){name, &document, recipe, error});
    yaml_document_delete(&document);
    if (status == DFM_OK) status = check_end(&parser, name, error);
  }
  yaml_parser_delete(&parser);
  return status;
}

/* Works on a copy, so that a failure half-way leaves the caller's recipe as it was. */
static dfm_status parse_over(dfm_recipe *recipe, const unsigned char *bytes, size_t n, const char *name,
                             dfm_error *error) {
  dfm_recipe *copy;
  if (n > MAX_YAML_BYTES)
    return dfm_fail(error, DFM_ERROR_FORMAT, "%s: a recipe of %zu bytes, and %d are the most; is it a recipe?", name, n,
                    MAX_YAML_BYTES);
  DFM_TRY(dfm_recipe_copy(recipe, &copy, error));
  const dfm_status status = parse_bytes(copy, bytes, n, name, error);
  if (status == DFM_OK) {
    const dfm_recipe swap = *recipe;
    *recipe = *copy;
    *copy = swap;
  }
  dfm_recipe_free(copy);
  return status;
}

dfm_status dfm_recipe_parse(dfm_recipe *recipe, const char *yaml, const char *name, dfm_error *error) {
  return parse_over(recipe, (const unsigned char *)yaml, strlen(yaml), name, error);
}

dfm_status dfm_recipe_load(dfm_recipe *recipe, const char *yaml_path, dfm_error *error) {
  dfm_mapping mapping;
  DFM_TRY(dfm_mapping_open_short(yaml_path, "recipe", MAX_YAML_BYTES, &mapping, error));
  const dfm_status status = parse_over(recipe, mapping.bytes, mapping.size_bytes, yaml_path, error);
  dfm_mapping_close(&mapping);
  return status;
}

/* ---- writing: libyaml's emitter quotes what needs quotes */

typedef struct yaml_out {
  yaml_emitter_t emitter;
  dfm_text text;
  dfm_error *error;
  dfm_status status; /* of the first failure */
} yaml_out;

static int append(void *context, unsigned char *bytes, size_t n) {
  yaml_out *out = context;
  out->status = dfm_text_add(&out->text, bytes, n, out->error);
  return out->status == DFM_OK;
}

/* Emits `event`, which `made` says could be made; the first failure is kept and everything after it skipped. */
static void emit(yaml_out *out, yaml_event_t *event, int made) {
  if (out->status != DFM_OK) {
    if (made) yaml_event_delete(event);
  } else if (!made) {
    out->status =
        dfm_fail(out->error, DFM_ERROR_VALUE, "a name or value of a field's setting is not UTF-8; rename the column");
  } else if (!yaml_emitter_emit(&out->emitter, event) && out->status == DFM_OK) {
    out->status = dfm_fail(out->error, DFM_ERROR_MEMORY, "cannot write the recipe as YAML: %s",
                           out->emitter.problem ? out->emitter.problem : "no memory");
  }
}

static void emit_scalar(yaml_out *out, const char *text, size_t n) {
  yaml_event_t event;
  emit(
      out, &event,
      yaml_scalar_event_initialize(&event, NULL, NULL, (const yaml_char_t *)text, (int)n, 1, 1, YAML_ANY_SCALAR_STYLE));
}

static void emit_mapping(yaml_out *out, bool is_start) {
  yaml_event_t event;
  emit(out, &event,
       is_start ? yaml_mapping_start_event_initialize(&event, NULL, NULL, 1, YAML_BLOCK_MAPPING_STYLE)
                : yaml_mapping_end_event_initialize(&event));
}

static void emit_list(yaml_out *out, const char *items) {
  yaml_event_t event;
  emit(out, &event, yaml_sequence_start_event_initialize(&event, NULL, NULL, 1, YAML_FLOW_SEQUENCE_STYLE));
  while (*items) {
    const size_t n = strcspn(items, ",");
    emit_scalar(out, items, n);
    items += n + (items[n] == ',');
  }
  emit(out, &event, yaml_sequence_end_event_initialize(&event));
}

static void emit_value(yaml_out *out, const dfm_setting_row *row, const dfm_recipe *recipe) {
  dfm_text text = {0};
  const dfm_status status = dfm_setting_format(row, recipe, &text, out->error);
  const bool is_list = row->type == DFM_SETTING_INTS || row->type == DFM_SETTING_INTO ||
                       (row->type == DFM_SETTING_DOUBLES && text.bytes && strchr(text.bytes, ','));
  if (status != DFM_OK)
    out->status = status;
  else if (is_list)
    emit_list(out, text.bytes ? text.bytes : "");
  else
    emit_scalar(out, text.bytes ? text.bytes : "", text.length);
  free(text.bytes);
}

/* Rows of one section follow each other in the table. */
static void emit_settings(yaml_out *out, const dfm_recipe *recipe) {
  char open[64] = "";
  const dfm_setting_row *row;
  for (size_t i = 0; (row = dfm_setting_row_at(i)) && out->status == DFM_OK; i++) {
    const char *name = row->setting.name, *dot = strchr(name, '.');
    const size_t n = dot ? (size_t)(dot - name) : 0;
    if (strlen(open) != n || memcmp(open, name, n) != 0) {
      if (*open) emit_mapping(out, false);
      snprintf(open, sizeof open, "%.*s", (int)n, name);
      emit_scalar(out, open, n);
      emit_mapping(out, true);
    }
    emit_scalar(out, dot ? dot + 1 : name, strlen(dot ? dot + 1 : name));
    emit_value(out, row, recipe);
  }
  if (*open) emit_mapping(out, false);
}

static void emit_overrides(yaml_out *out, const dfm_recipe *recipe) {
  if (recipe->n_overrides == 0) return;
  emit_scalar(out, "fields", strlen("fields"));
  emit_mapping(out, true);
  for (size_t i = 0; i < recipe->n_overrides; i++) {
    const dfm_override *at = &recipe->overrides[i];
    const bool is_first = i == 0 || strcmp(at->field, at[-1].field) != 0;
    const bool is_last = i + 1 == recipe->n_overrides || strcmp(at->field, at[1].field) != 0;
    if (is_first) {
      emit_scalar(out, at->field, strlen(at->field));
      emit_mapping(out, true);
    }
    emit_scalar(out, at->key, strlen(at->key));
    emit_scalar(out, at->value, strlen(at->value));
    if (is_last) emit_mapping(out, false);
  }
  emit_mapping(out, false);
}

static void emit_document(yaml_out *out, const dfm_recipe *recipe) {
  yaml_event_t event;
  emit(out, &event, yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING));
  emit(out, &event, yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1));
  emit_mapping(out, true);
  emit_settings(out, recipe);
  emit_overrides(out, recipe);
  emit_mapping(out, false);
  emit(out, &event, yaml_document_end_event_initialize(&event, 1));
  emit(out, &event, yaml_stream_end_event_initialize(&event));
}

dfm_status dfm_recipe_to_yaml(const dfm_recipe *recipe, char **yaml, dfm_error *error) {
  yaml_out out = {.error = error};
  if (!yaml_emitter_initialize(&out.emitter))
    return dfm_fail(error, DFM_ERROR_MEMORY, "no memory to write the recipe as YAML");
  yaml_emitter_set_output(&out.emitter, append, &out);
  yaml_emitter_set_width(&out.emitter, -1);
  yaml_emitter_set_unicode(&out.emitter, 1);
  emit_document(&out, recipe);
  yaml_emitter_delete(&out.emitter);
  if (out.status == DFM_OK)
    *yaml = out.text.bytes;
  else
    free(out.text.bytes);
  return out.status;
}
