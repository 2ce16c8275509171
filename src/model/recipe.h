/* Recipe: YAML, flags and --set come in; a checked struct of every setting goes out. One table (recipe_settings.c)
 * declares them all. */
#ifndef DFM_MODEL_RECIPE_H
#define DFM_MODEL_RECIPE_H

#include "data/schema.h"
#include "optim/optimizer.h"

enum { DFM_MAX_HIDDEN = 16 };

typedef enum dfm_init_name {
  DFM_INIT_ZEROS,
  DFM_INIT_NORMAL,
  DFM_INIT_UNIFORM,
  DFM_INIT_GLOROT_UNIFORM,
  DFM_INIT_GLOROT_NORMAL,
  DFM_INIT_HE_NORMAL
} dfm_init_name;

/* "fields.NAME.KEY=VALUE": corrects what the schema says of a column. KEY is a key of the schema's columns. */
typedef struct dfm_override {
  char *field, *key, *value;
} dfm_override;

typedef enum dfm_solver { DFM_SOLVER_SGD, DFM_SOLVER_ADAGRAD, DFM_SOLVER_ADAM, DFM_SOLVER_LBFGS } dfm_solver;
typedef enum dfm_precision { DFM_PRECISION_FLOAT32, DFM_PRECISION_BF16, DFM_PRECISION_AUTO } dfm_precision;
typedef enum dfm_monitor { DFM_MONITOR_AUC, DFM_MONITOR_LOGLOSS } dfm_monitor;

struct dfm_recipe {
  char model[32]; /* name in the table of models */
  int precision;  /* dfm_precision; a trainer's own recipe, and so its files, say what auto came to */

  struct {
    int width, init;   /* K; dfm_init_name: zeros, normal or uniform */
    double init_scale; /* standard deviation (normal) or bound (uniform) */
  } embedding;
  struct {
    int init; /* of the first-order weights: zeros, normal or uniform */
    double init_scale;
  } linear;
  struct {
    int hidden[DFM_MAX_HIDDEN], n_hidden;
    double dropout[DFM_MAX_HIDDEN];
    int n_dropout;  /* 1: the same after every hidden layer; else one each */
    int activation; /* dfm_activation */
    bool batch_norm;
    double batch_norm_momentum, batch_norm_epsilon; /* running = momentum running + (1 - momentum) batch */
    int init;                                       /* glorot_uniform, glorot_normal or he_normal */
  } dnn;
  struct {
    int name; /* dfm_solver */
    double learning_rate, beta1, beta2, epsilon, adagrad_initial;
    bool epsilon_keras, lazy;
    double clip_norm; /* 0: off */
    /* The learning rate is multiplied by the factor when the monitor does not improve for `patience` epochs; 1: off. */
    double plateau_factor;
    int plateau_patience;
    int lbfgs_iterations;
    double lbfgs_tolerance;
  } optimizer;
  struct {
    /* Each adds (l2 / 2) |w|^2 to the batch's mean loss; biases and batch-norm parameters are free. */
    double linear, embedding, dnn;
  } l2;
  struct {
    int batch_size;       /* 0: by the number of rows */
    int epochs, patience; /* patience 0: no early stop */
    int monitor;          /* dfm_monitor */
    int64_t max_steps;    /* 0: no limit */
    bool shuffle, keep_last;
    uint64_t seed;
  } train;
  /* "data.*" and "validation.*". Follows other settings: its seed is train.seed, the categories' width is
   * embedding.width. */
  dfm_data_settings data;
  bool is_valid_random_set; /* validation.random was set, so validation.split does not switch it off */

  dfm_override *overrides; /* sorted by field, then key; one each */
  size_t n_overrides;
};

/* Recipe from YAML text (a model file's), laid over what `recipe` holds; `name` stands for the file in messages.
 * Unchanged on failure. */
dfm_status dfm_recipe_parse(dfm_recipe *recipe, const char *yaml, const char *name, dfm_error *error);
dfm_status dfm_recipe_copy(const dfm_recipe *recipe, dfm_recipe **copy, dfm_error *error);

#endif
