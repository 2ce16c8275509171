/* What comes in: a setting's name or index. What goes out: its row in the one table that the command line, YAML,
 * bindings and docs are made from. */
#include "model/recipe_settings.h"

#include <string.h>

/* A row's choices are numbered by their place in its range, so the enums must keep this order. */
_Static_assert(DFM_INIT_ZEROS == 0 && DFM_INIT_NORMAL == 1 && DFM_INIT_UNIFORM == 2, "zeros | normal | uniform");
_Static_assert(DFM_INIT_GLOROT_NORMAL == DFM_INIT_GLOROT_UNIFORM + 1 &&
                   DFM_INIT_HE_NORMAL == DFM_INIT_GLOROT_UNIFORM + 2,
               "dnn.init");
_Static_assert(DFM_LINEAR == 0 && DFM_RELU == 1 && DFM_SIGMOID == 2 && DFM_TANH == 3, "linear | relu | sigmoid | tanh");
_Static_assert(DFM_SOLVER_SGD == 0 && DFM_SOLVER_ADAGRAD == 1 && DFM_SOLVER_ADAM == 2 && DFM_SOLVER_LBFGS == 3,
               "optimizer.name");
_Static_assert(DFM_PRECISION_FLOAT32 == 0 && DFM_PRECISION_BF16 == 1 && DFM_PRECISION_AUTO == 2,
               "float32 | bf16 | auto");
_Static_assert(DFM_MONITOR_AUC == 0 && DFM_MONITOR_LOGLOSS == 1, "auc | logloss");
_Static_assert(DFM_UNKNOWN_ROW == 0 && DFM_UNKNOWN_ZERO == 1 && DFM_UNKNOWN_ERROR == 2, "row | zero | error");
_Static_assert(DFM_ORDER_FREQUENCY == 0 && DFM_ORDER_SORTED == 1, "frequency | sorted");
_Static_assert(DFM_TRANSFORM_NONE == 0 && DFM_TRANSFORM_LOG == 1 && DFM_TRANSFORM_STANDARD == 2 &&
                   DFM_TRANSFORM_MINMAX == 3 && DFM_TRANSFORM_AUTO == 4,
               "none | log | standard | minmax | auto");

#define AT(member) offsetof(struct dfm_recipe, member)

/* clang-format off */
static const dfm_setting_row rows[] = {
  {{"model", "model", "deepfm", "lr | fm | ffm | deepfm",
    "The model: which branches add up to the logit"},
   DFM_SETTING_MODEL, AT(model), 0, 0},
  {{"precision", "precision", "float32", "float32 | bf16 | auto",
    "Matrix multiplies of training; bf16: operands in bfloat16, sums and weights in float32 (docs/precision.md); auto: bf16 where the CPU has it"},
   DFM_SETTING_CHOICE, AT(precision), 0, DFM_PRECISION_FLOAT32},

  {{"embedding.width", "width", "16", "[1, 1024]",
    "Factors per category value, K; in ffm for each field that it can meet"},
   DFM_SETTING_INT, AT(embedding.width), 0, 0},
  {{"embedding.init", "embedding-init", "normal", "zeros | normal | uniform",
    "How factors start"},
   DFM_SETTING_CHOICE, AT(embedding.init), 0, DFM_INIT_ZEROS},
  {{"embedding.init_scale", "embedding-init-scale", "0.01", "[0, 10]",
    "Standard deviation (normal) or bound (uniform) of the factors' start"},
   DFM_SETTING_DOUBLE, AT(embedding.init_scale), 0, 0},

  {{"linear.init", "linear-init", "zeros", "zeros | normal | uniform",
    "How first-order weights start"},
   DFM_SETTING_CHOICE, AT(linear.init), 0, DFM_INIT_ZEROS},
  {{"linear.init_scale", "linear-init-scale", "0.01", "[0, 10]",
    "Standard deviation (normal) or bound (uniform) of their start"},
   DFM_SETTING_DOUBLE, AT(linear.init_scale), 0, 0},

  {{"dnn.hidden", "hidden", "256,128", "up to 16 whole numbers in [1, 65536]",
    "Units of the hidden layers; an empty list: no hidden layer"},
   DFM_SETTING_INTS, AT(dnn.hidden), AT(dnn.n_hidden), 0},
  {{"dnn.dropout", "dropout", "0", "[0, 1), one number or one for each hidden layer",
    "Share of hidden units dropped while training"},
   DFM_SETTING_DOUBLES, AT(dnn.dropout), AT(dnn.n_dropout), 0},
  {{"dnn.activation", "activation", "relu", "linear | relu | sigmoid | tanh",
    "Activation of the hidden layers"},
   DFM_SETTING_CHOICE, AT(dnn.activation), 0, DFM_LINEAR},
  {{"dnn.batch_norm", "batch-norm", "false", "true | false",
    "Batch normalisation before each activation"},
   DFM_SETTING_BOOL, AT(dnn.batch_norm), 0, 0},
  {{"dnn.batch_norm_momentum", "batch-norm-momentum", "0.9", "[0, 1)",
    "Share of the old running mean and variance kept at each step"},
   DFM_SETTING_DOUBLE, AT(dnn.batch_norm_momentum), 0, 0},
  {{"dnn.batch_norm_epsilon", "batch-norm-epsilon", "1e-5", "(0, 1]",
    "Added to the variance"},
   DFM_SETTING_DOUBLE, AT(dnn.batch_norm_epsilon), 0, 0},
  {{"dnn.init", "dnn-init", "glorot_uniform", "glorot_uniform | glorot_normal | he_normal",
    "How the net's weights start; its biases start at zero"},
   DFM_SETTING_CHOICE, AT(dnn.init), 0, DFM_INIT_GLOROT_UNIFORM},

  {{"optimizer.name", "optimizer", "adam", "sgd | adagrad | adam | lbfgs",
    "The optimizer; lbfgs solves the model lr exactly"},
   DFM_SETTING_CHOICE, AT(optimizer.name), 0, DFM_SOLVER_SGD},
  {{"optimizer.learning_rate", "learning-rate", "0.001", "(0, 10]",
    "Step size"},
   DFM_SETTING_DOUBLE, AT(optimizer.learning_rate), 0, 0},
  {{"optimizer.beta1", "beta1", "0.9", "[0, 1)",
    "Adam: decay of the mean gradient"},
   DFM_SETTING_DOUBLE, AT(optimizer.beta1), 0, 0},
  {{"optimizer.beta2", "beta2", "0.999", "[0, 1)",
    "Adam: decay of the mean squared gradient"},
   DFM_SETTING_DOUBLE, AT(optimizer.beta2), 0, 0},
  {{"optimizer.epsilon", "epsilon", "1e-8", "(0, 1]",
    "Adam and AdaGrad: added to the root"},
   DFM_SETTING_DOUBLE, AT(optimizer.epsilon), 0, 0},
  {{"optimizer.epsilon_place", "epsilon-place", "pytorch", "pytorch | keras",
    "Adam: epsilon is added after (pytorch) or before (keras) the bias correction of the root"},
   DFM_SETTING_CHOICE_BOOL, AT(optimizer.epsilon_keras), 0, 0},
  {{"optimizer.adagrad_initial", "adagrad-initial", "0", "[0, 1000]",
    "AdaGrad: initial sum of squared gradients"},
   DFM_SETTING_DOUBLE, AT(optimizer.adagrad_initial), 0, 0},
  {{"optimizer.update", "update", "exact", "exact | lazy",
    "Table rows that a batch does not touch: moved as a dense optimizer would, or left"},
   DFM_SETTING_CHOICE_BOOL, AT(optimizer.lazy), 0, 0},
  {{"optimizer.clip_norm", "clip-norm", "0", "[0, 1000000]",
    "Largest norm of the whole gradient; 0: not clipped"},
   DFM_SETTING_DOUBLE, AT(optimizer.clip_norm), 0, 0},
  {{"optimizer.plateau_factor", "plateau-factor", "1", "(0, 1]",
    "The learning rate is multiplied by this when the monitor stops improving; 1: never"},
   DFM_SETTING_DOUBLE, AT(optimizer.plateau_factor), 0, 0},
  {{"optimizer.plateau_patience", "plateau-patience", "1", "[1, 1000]",
    "Epochs without improvement before the learning rate is lowered"},
   DFM_SETTING_INT, AT(optimizer.plateau_patience), 0, 0},
  {{"optimizer.lbfgs_iterations", "lbfgs-iterations", "1000", "[1, 1000000]",
    "L-BFGS: most iterations"},
   DFM_SETTING_INT, AT(optimizer.lbfgs_iterations), 0, 0},
  {{"optimizer.lbfgs_tolerance", "lbfgs-tolerance", "1e-7", "(0, 1)",
    "L-BFGS: stops when |gradient| / max(1, |weights|) falls below this"},
   DFM_SETTING_DOUBLE, AT(optimizer.lbfgs_tolerance), 0, 0},

  {{"l2.linear", "l2-linear", "0", "[0, 1000000]",
    "Adds (l2 / 2) |w|^2 to the batch's mean loss: first-order weights"},
   DFM_SETTING_DOUBLE, AT(l2.linear), 0, 0},
  {{"l2.embedding", "l2-embedding", "0", "[0, 1000000]",
    "The same for the factors"},
   DFM_SETTING_DOUBLE, AT(l2.embedding), 0, 0},
  {{"l2.dnn", "l2-dnn", "0", "[0, 1000000]",
    "The same for the net's weights; biases are free"},
   DFM_SETTING_DOUBLE, AT(l2.dnn), 0, 0},

  {{"train.batch_size", "batch-size", "0", "[0, 1048576]",
    "Rows between two optimizer steps; 0: a hundredth of the training rows, from 32 to 1024"},
   DFM_SETTING_INT, AT(train.batch_size), 0, 0},
  {{"train.epochs", "epochs", "10", "[1, 100000]",
    "Most passes over the training rows"},
   DFM_SETTING_INT, AT(train.epochs), 0, 0},
  {{"train.patience", "patience", "2", "[0, 100000]",
    "Stop after this many epochs in a row without improvement; 0: never"},
   DFM_SETTING_INT, AT(train.patience), 0, 0},
  {{"train.monitor", "monitor", "auc", "auc | logloss",
    "Validation metric that picks the best epoch"},
   DFM_SETTING_CHOICE, AT(train.monitor), 0, DFM_MONITOR_AUC},
  {{"train.keep", "keep", "best", "best | last",
    "The epoch that the model file holds; without validation it is the last"},
   DFM_SETTING_CHOICE_BOOL, AT(train.keep_last), 0, 0},
  {{"train.max_steps", "max-steps", "0", "[0, 1000000000000000]",
    "Stop after this many optimizer steps; 0: no limit"},
   DFM_SETTING_INT64, AT(train.max_steps), 0, 0},
  {{"train.shuffle", "shuffle", "true", "true | false",
    "New order of the rows in each epoch"},
   DFM_SETTING_BOOL, AT(train.shuffle), 0, 0},
  {{"train.seed", "seed", "1", "[0, 9007199254740991]",
    "Seed of everything random"},
   DFM_SETTING_UINT64, AT(train.seed), 0, 0},

  {{"validation.split", "valid-split", "0", "[0, 1)",
    "Share of the rows, the last of the file, held out for validation; turns validation.random off"},
   DFM_SETTING_DOUBLE, AT(data.valid_split), 0, 0},
  {{"validation.random", "valid-fraction-random", "0.1", "[0, 1)",
    "Share of the rows, drawn by seed, held out for validation"},
   DFM_SETTING_DOUBLE, AT(data.valid_random), 0, 0},

  {{"data.min_count", "min-count", "1", "[1, 1000000000]",
    "Category values with fewer training rows than this count as unknown"},
   DFM_SETTING_INT, AT(data.category.min_count), 0, 0},
  {{"data.max_vocabulary", "max-vocabulary", "0", "[0, 1000000000]",
    "Of each category field only so many values, the most frequent, are kept; 0: all"},
   DFM_SETTING_INT, AT(data.category.max_vocabulary), 0, 0},
  {{"data.hash", "hash", "0", "[0, 1000000000]",
    "Category values go to so many buckets by their hash, and no vocabulary is kept; 0: each value has its own row"},
   DFM_SETTING_INT, AT(data.category.hash), 0, 0},
  {{"data.unknown", "unknown", "row", "row | zero | error",
    "Unknown category values: a trained row of their own, nothing, or an error"},
   DFM_SETTING_CHOICE, AT(data.category.unknown), 0, DFM_UNKNOWN_ROW},
  {{"data.unknown_rate", "unknown-rate", "0", "[0, 1)",
    "Share of training cells that are fed to the unknown row, so that it learns"},
   DFM_SETTING_DOUBLE, AT(data.category.unknown_rate), 0, 0},
  {{"data.vocabulary_order", "vocabulary-order", "frequency", "frequency | sorted",
    "Order of the ids of a field's values"},
   DFM_SETTING_CHOICE, AT(data.category.order), 0, DFM_ORDER_FREQUENCY},
  {{"data.vocabulary_from", "vocabulary-from", "train", "train | all",
    "Rows that vocabularies are made from; all: validation rows too"},
   DFM_SETTING_CHOICE_BOOL, AT(data.vocabulary_from_all), 0, 0},
  {{"data.category_into", "category-into", "linear,fm,dnn", "one or more of linear, fm, dnn",
    "Branches that see the category fields"},
   DFM_SETTING_INTO, AT(data.category.into), 0, 0},
  {{"data.number_into", "number-into", "linear,dnn", "one or more of linear, fm, dnn",
    "Branches that see the number fields"},
   DFM_SETTING_INTO, AT(data.number.into), 0, 0},
  {{"data.transform", "transform", "auto", "none | log | standard | minmax | auto",
    "What is done to number fields; auto: by the look of each column"},
   DFM_SETTING_CHOICE, AT(data.number.transform), 0, DFM_TRANSFORM_NONE},
  {{"data.missing", "missing", "", "a number that a 32-bit float holds, or empty",
    "Raw value that an empty cell of a number field stands for; empty: 0 after the transform"},
   DFM_SETTING_MAYBE_DOUBLE, AT(data.number.missing), 0, 0},
};
/* clang-format on */

enum { N_ROWS = sizeof rows / sizeof *rows };

const dfm_setting_row *dfm_setting_row_at(size_t i) {
  return i < N_ROWS ? &rows[i] : NULL;
}

const dfm_setting *dfm_setting_at(size_t i) {
  return i < N_ROWS ? &rows[i].setting : NULL;
}

const dfm_setting_row *dfm_setting_find(const char *name) {
  for (size_t i = 0; i < N_ROWS; i++)
    if (strcmp(rows[i].setting.name, name) == 0) return &rows[i];
  return NULL;
}

/* "learning-rate" and "learning_rate" are one word to whoever types it. */
static bool same_word(const char *a, const char *b) {
  for (; *a && *b; a++, b++)
    if (*a != *b && !(strchr("-_", *a) && strchr("-_", *b))) return false;
  return *a == *b;
}

const char *dfm_setting_suggest(const char *name) {
  const char *names[N_ROWS];
  for (size_t i = 0; i < N_ROWS; i++) names[i] = rows[i].setting.name;
  const char *nearest = dfm_nearest(name, names, N_ROWS);
  if (nearest) return nearest;

  const char *dot = strrchr(name, '.'), *word = dot ? dot + 1 : name;
  for (size_t i = 0; i < N_ROWS; i++) {
    const char *own = strrchr(names[i], '.');
    if (same_word(word, rows[i].setting.flag) || (own && same_word(word, own + 1))) return names[i];
  }
  return NULL;
}
