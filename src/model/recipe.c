/* What comes in: names and texts of settings, one by one. What goes out: a recipe whose members are checked, copied,
 * compared and asked for. */
#include "model/recipe.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "model/recipe_settings.h"

#define VALID_RANDOM "validation.random"

/* ---- members that follow other members */

static dfm_status follow(dfm_recipe *recipe, dfm_error *error) {
  recipe->data.category.width = recipe->embedding.width;
  recipe->data.seed = recipe->train.seed;
  if (recipe->is_valid_random_set) return DFM_OK;
  const dfm_setting_row *row = dfm_setting_find(VALID_RANDOM);
  return dfm_setting_parse(row, recipe, recipe->data.valid_split > 0 ? "0" : row->setting.default_value, error);
}

/* What the two kinds of field do not share: a category has no transform, a number no vocabulary. */
static void clear_data(dfm_data_settings *data) {
  const dfm_field_settings none = {.min_count = 1,
                                   .unknown = DFM_UNKNOWN_ROW,
                                   .order = DFM_ORDER_FREQUENCY,
                                   .transform = DFM_TRANSFORM_NONE,
                                   .missing = NAN};
  data->category = data->number = none;
}

/* ---- overrides */

static int compare_override(const dfm_override *a, const char *field, const char *key) {
  const int order = strcmp(a->field, field);
  return order ? order : strcmp(a->key, key);
}

static void override_clear(dfm_override *override) {
  free(override->field);
  free(override->key);
  free(override->value);
}

static dfm_status override_create(dfm_override *override, const char *field, const char *key, const char *value,
                                  dfm_error *error) {
  dfm_override made = {0};
  dfm_status status = dfm_copy_text(&made.field, field, error);
  if (status == DFM_OK) status = dfm_copy_text(&made.key, key, error);
  if (status == DFM_OK) status = dfm_copy_text(&made.value, value, error);
  if (status == DFM_OK)
    *override = made;
  else
    override_clear(&made);
  return status;
}

/* Key and value are those of a schema's column; which columns there are is known when the recipe meets a schema. */
static dfm_status check_override(const char *field, const char *key, const char *value, dfm_error *error) {
  dfm_column scratch = {.settings = dfm_field_settings_unset()};
  dfm_error inner;
  if (*field == 0)
    return dfm_fail(error, DFM_ERROR_VALUE, "fields.%s has no field's name; write fields.NAME.%s", key, key);
  if (strcmp(key, "kind") == 0) return DFM_OK;
  const dfm_status status = dfm_column_set(&scratch, key, value, &inner);
  dfm_column_clear(&scratch);
  return status == DFM_OK ? DFM_OK : dfm_fail(error, status, "fields.%s.%s: %s", field, key, inner.message);
}

static dfm_status set_override(dfm_recipe *recipe, const char *field, const char *key, const char *value,
                               dfm_error *error) {
  DFM_TRY(check_override(field, key, value, error));
  size_t at = 0, n = recipe->n_overrides;
  while (at < n && compare_override(&recipe->overrides[at], field, key) < 0) at++;
  const bool exists = at < n && compare_override(&recipe->overrides[at], field, key) == 0;

  dfm_override made;
  DFM_TRY(override_create(&made, field, key, value, error));
  if (exists) {
    override_clear(&recipe->overrides[at]);
  } else {
    dfm_override *grown = realloc(recipe->overrides, (n + 1) * sizeof *grown);
    if (!grown) {
      override_clear(&made);
      return dfm_fail(error, DFM_ERROR_MEMORY, "no memory for %zu settings of fields; free some memory", n + 1);
    }
    recipe->overrides = grown;
    memmove(grown + at + 1, grown + at, (n - at) * sizeof *grown);
    recipe->n_overrides = n + 1;
  }
  recipe->overrides[at] = made;
  return DFM_OK;
}

/* Splits "fields.NAME.KEY"; the name may hold dots. */
static dfm_status set_dotted_override(dfm_recipe *recipe, const char *name, const char *value, dfm_error *error) {
  const char *rest = name + strlen("fields."), *dot = strrchr(rest, '.');
  if (!dot || dot == rest || dot[1] == 0)
    return dfm_fail(error, DFM_ERROR_VALUE, "'%.200s' is not fields.NAME.KEY, such as fields.C1.min_count", name);
  char *field;
  DFM_TRY(dfm_copy_text(&field, rest, error));
  field[dot - rest] = 0;
  const dfm_status status = set_override(recipe, field, dot + 1, value, error);
  free(field);
  return status;
}

/* ---- the public functions */

dfm_status dfm_recipe_create(dfm_recipe **recipe, dfm_error *error) {
  dfm_recipe *made;
  DFM_TRY(dfm_alloc(&made, 1, sizeof *made, error));
  clear_data(&made->data);
  dfm_status status = DFM_OK;
  const dfm_setting_row *row;
  for (size_t i = 0; status == DFM_OK && (row = dfm_setting_row_at(i)); i++)
    status = dfm_setting_parse(row, made, row->setting.default_value, error);
  if (status == DFM_OK) status = follow(made, error);
  if (status == DFM_OK)
    *recipe = made;
  else
    dfm_recipe_free(made);
  return status;
}

void dfm_recipe_free(dfm_recipe *recipe) {
  if (!recipe) return;
  for (size_t i = 0; i < recipe->n_overrides; i++) override_clear(&recipe->overrides[i]);
  free(recipe->overrides);
  free(recipe);
}

dfm_status dfm_recipe_copy(const dfm_recipe *recipe, dfm_recipe **copy, dfm_error *error) {
  dfm_recipe *made;
  DFM_TRY(dfm_alloc(&made, 1, sizeof *made, error));
  *made = *recipe;
  made->overrides = NULL;
  made->n_overrides = 0;
  dfm_status status = dfm_alloc(&made->overrides, recipe->n_overrides, sizeof *made->overrides, error);
  for (; status == DFM_OK && made->n_overrides < recipe->n_overrides; made->n_overrides++) {
    const dfm_override *from = &recipe->overrides[made->n_overrides];
    status = override_create(&made->overrides[made->n_overrides], from->field, from->key, from->value, error);
    if (status != DFM_OK) break;
  }
  if (status == DFM_OK)
    *copy = made;
  else
    dfm_recipe_free(made);
  return status;
}

dfm_status dfm_recipe_set(dfm_recipe *recipe, const char *name, const char *value, dfm_error *error) {
  if (strncmp(name, "fields.", 7) == 0) return set_dotted_override(recipe, name, value, error);
  const dfm_setting_row *row = dfm_setting_find(name);
  if (!row) {
    char shown[DFM_SHOW_BYTES];
    const char *suggestion = dfm_setting_suggest(name);
    return dfm_fail(error, DFM_ERROR_VALUE, "there is no setting '%s'; %s%s%s", dfm_show(shown, name, strlen(name)),
                    suggestion ? "did you mean '" : "docs/recipe.md lists them", suggestion ? suggestion : "",
                    suggestion ? "'?" : "");
  }
  DFM_TRY(dfm_setting_parse(row, recipe, value, error));
  if (strcmp(name, VALID_RANDOM) == 0) recipe->is_valid_random_set = true;
  return follow(recipe, error);
}

static const dfm_override *find_override(const dfm_recipe *recipe, const char *name) {
  const char *rest = name + strlen("fields.");
  for (size_t i = 0; i < recipe->n_overrides; i++) {
    const dfm_override *at = &recipe->overrides[i];
    const size_t n = strlen(at->field);
    if (strncmp(rest, at->field, n) == 0 && rest[n] == '.' && strcmp(rest + n + 1, at->key) == 0) return at;
  }
  return NULL;
}

dfm_status dfm_recipe_get(const dfm_recipe *recipe, const char *name, char **value, dfm_error *error) {
  if (strncmp(name, "fields.", 7) == 0) {
    const dfm_override *found = find_override(recipe, name);
    *value = NULL;
    return found ? dfm_copy_text(value, found->value, error) : DFM_OK;
  }
  const dfm_setting_row *row = dfm_setting_find(name);
  dfm_text text = {0};
  dfm_status status = row ? dfm_setting_format(row, recipe, &text, error) : DFM_OK;
  if (status == DFM_OK && row && !text.bytes) status = dfm_copy_text(&text.bytes, "", error);
  if (status == DFM_OK)
    *value = text.bytes;
  else
    free(text.bytes);
  return status;
}

/* L-BFGS takes no steps over batches: settings that shape those would be ignored. */
static dfm_status check_lbfgs(const dfm_recipe *recipe, dfm_error *error) {
  const struct {
    const char *name;
    double value;
  } ignored[] = {{"optimizer.clip_norm", recipe->optimizer.clip_norm},
                 {"train.max_steps", (double)recipe->train.max_steps},
                 {"data.unknown_rate", recipe->data.category.unknown_rate}};
  if (strcmp(recipe->model, "lr") != 0)
    return dfm_fail(error, DFM_ERROR_VALUE,
                    "optimizer.name is lbfgs, which solves model lr alone, but model is %s; set optimizer.name to adam "
                    "or model to lr",
                    recipe->model);
  for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++) {
    if (ignored[i].value > 0)
      return dfm_fail(error, DFM_ERROR_VALUE,
                      "%s is %g, but lbfgs takes no steps over batches; set it to 0, or optimizer.name to adam",
                      ignored[i].name, ignored[i].value);
  }
  return DFM_OK;
}

/* Hashing keeps no vocabulary that these could shape. */
static dfm_status check_hash(const dfm_recipe *recipe, dfm_error *error) {
  const dfm_field_settings *category = &recipe->data.category;
  const char *ignored = category->min_count > 1               ? "data.min_count"
                        : category->max_vocabulary > 0        ? "data.max_vocabulary"
                        : category->order == DFM_ORDER_SORTED ? "data.vocabulary_order"
                                                              : NULL;
  char *value;
  if (category->hash == 0 || !ignored) return DFM_OK;
  DFM_TRY(dfm_recipe_get(recipe, ignored, &value, error));
  const dfm_status status = dfm_fail(error, DFM_ERROR_VALUE,
                                     "data.hash is %d and %s is %s, but hashing keeps no vocabulary; leave one of the "
                                     "two out, or set hash for single fields",
                                     category->hash, ignored, value);
  free(value);
  return status;
}

dfm_status dfm_recipe_check(const dfm_recipe *recipe, dfm_error *error) {
  DFM_TRY(check_hash(recipe, error));
  if (recipe->optimizer.name == DFM_SOLVER_LBFGS) DFM_TRY(check_lbfgs(recipe, error));
  if (recipe->dnn.n_dropout > 1 && recipe->dnn.n_dropout != recipe->dnn.n_hidden)
    return dfm_fail(
        error, DFM_ERROR_VALUE,
        "dnn.dropout has %d numbers, but dnn.hidden has %d layers; give one number for all layers, or one for each",
        recipe->dnn.n_dropout, recipe->dnn.n_hidden);
  if (recipe->data.valid_split > 0 && recipe->data.valid_random > 0)
    return dfm_fail(error, DFM_ERROR_VALUE,
                    "validation.split is %g and validation.random is %g, but only one way to hold rows out can be "
                    "used; set one of them to 0",
                    recipe->data.valid_split, recipe->data.valid_random);
  return DFM_OK;
}

/* Kinds come first: they decide which other settings there are. */
static dfm_status apply_overrides(const dfm_recipe *recipe, bool are_kinds, dfm_schema *schema, dfm_error *error) {
  for (size_t i = 0; i < recipe->n_overrides; i++) {
    const dfm_override *at = &recipe->overrides[i];
    if ((strcmp(at->key, "kind") == 0) == are_kinds)
      DFM_TRY(dfm_schema_set(schema, at->field, at->key, at->value, error));
  }
  return DFM_OK;
}

dfm_status dfm_recipe_apply(const dfm_recipe *recipe, const dfm_schema *schema, dfm_schema **result, dfm_error *error) {
  dfm_schema *copy;
  DFM_TRY(dfm_schema_copy(schema, &copy, error));
  dfm_status status = apply_overrides(recipe, true, copy, error);
  if (status == DFM_OK) status = apply_overrides(recipe, false, copy, error);
  if (status == DFM_OK)
    *result = copy;
  else
    dfm_schema_free(copy);
  return status;
}
