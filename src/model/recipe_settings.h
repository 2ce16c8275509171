/* The table of settings: text comes in and lands in a recipe's member; a member goes out as text. */
#ifndef DFM_MODEL_RECIPE_SETTINGS_H
#define DFM_MODEL_RECIPE_SETTINGS_H

#include "base/memory.h"
#include "model/recipe.h"

typedef enum dfm_setting_type {
  DFM_SETTING_MODEL,        /* char[32]: a name in the table of models */
  DFM_SETTING_INT,          /* int */
  DFM_SETTING_INT64,        /* int64_t */
  DFM_SETTING_UINT64,       /* uint64_t */
  DFM_SETTING_DOUBLE,       /* double */
  DFM_SETTING_MAYBE_DOUBLE, /* double; empty text is NaN */
  DFM_SETTING_BOOL,         /* bool: true or false */
  DFM_SETTING_CHOICE,       /* int: first + position in the range's "a | b | c" */
  DFM_SETTING_CHOICE_BOOL,  /* bool: false for the first of two choices, true for the second */
  DFM_SETTING_INTS,         /* int[DFM_MAX_HIDDEN] and its count; may be empty */
  DFM_SETTING_DOUBLES,      /* double[DFM_MAX_HIDDEN] and its count; at least one */
  DFM_SETTING_INTO          /* int: DFM_INTO_ bits */
} dfm_setting_type;

typedef struct dfm_setting_row {
  dfm_setting setting; /* its range is what values are checked against: "[low, high)" somewhere in it, or "a | b | c" */
  dfm_setting_type type;
  size_t offset, count_offset; /* in dfm_recipe */
  int first;                   /* choices: the number of the first */
} dfm_setting_row;

/* NULL past the last. */
const dfm_setting_row *dfm_setting_row_at(size_t i);
/* NULL where there is no such name. */
const dfm_setting_row *dfm_setting_find(const char *name);
/* The name that was probably meant: near in spelling, or the last part or the flag of a setting. NULL: none. */
const char *dfm_setting_suggest(const char *name);

/* Reads `value` into the row's member, or says setting, value and range. Lists are "1,2" or "[1, 2]". */
dfm_status dfm_setting_parse(const dfm_setting_row *row, dfm_recipe *recipe, const char *value, dfm_error *error);
/* Appends the member as text that dfm_setting_parse reads back to the same bits; lists as "1,2". */
dfm_status dfm_setting_format(const dfm_setting_row *row, const dfm_recipe *recipe, dfm_text *text, dfm_error *error);

#endif
