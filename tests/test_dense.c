/* Dense layers: batches of every shape come in; y, dx, dW and db must be those of the operands (in bfloat16: as
 * rounded), computed in double, on every kernel table, with and without tiles; also where a batch is followed by a
 * shorter one, and where layers feed each other. */
#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "layer/dense_multiply.h"
#include "layer/executor.h"
#include "test.h"

enum {
  BESIDE = 3,
  IN = DFM_EDGE_EMBED,
  OUT = DFM_EDGES_FIXED
}; /* columns of the input edge that the layer does not read */

typedef struct fixture {
  dfm_net net;
  dfm_pass pass;
  dfm_pool *pool;
  dfm_layer *layer;
  int capacity, first;    /* rows: of the largest batch; of the piece at hand */
  const dfm_tiles *tiles; /* NULL: float32 as it lies */
  float *memory;
  size_t memory_bytes;
} fixture;

static float random_float(uint64_t *state) {
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return (float)(int32_t)(*state >> 33) * 0x1p-30f - 1;
}

/* An operand as it is multiplied: in bfloat16 the nearest, ties to even (tests/test_tiles.c). */
static double operand(const fixture *f, float x) {
  uint32_t bits;
  if (!f->tiles || f->tiles->parts > 1) return (double)x;
  memcpy(&bits, &x, sizeof bits);
  bits = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000u;
  memcpy(&x, &bits, sizeof x);
  return (double)x;
}

/* All that a table may be asked to multiply with: nothing but itself, tiles in plain C, and those that it chooses. */
enum { WAYS = 5 };
static const dfm_tiles *tiles_of(const dfm_kernel *kernel, size_t way) {
  const dfm_tiles *const ways[WAYS] = {NULL, &kernel->plain_bf16, &kernel->plain_float32,
                                       dfm_kernel_tiles(kernel, true), dfm_kernel_tiles(kernel, false)};
  return ways[way];
}

static int parts_of(const dfm_tiles *tiles) {
  return tiles ? tiles->parts : 0;
}

static void add_layer(fixture *f, int n_in, int n_out, bool adds_dx) {
  dfm_net *net = &f->net;
  dfm_param *param;
  dfm_error error;
  net->n_edges = OUT;
  net->edge_n[IN] = n_in + BESIDE;
  assert_int_equal(dfm_net_add_edge(net, n_out, &error), OUT);
  f->layer = dfm_net_add_layer(net, &dfm_layer_dense, "dense", &error);
  f->layer->in = IN;
  f->layer->from = 2;
  f->layer->n_in = n_in;
  f->layer->out = OUT;
  f->layer->n_out = n_out;
  f->layer->activation = DFM_TANH;
  f->layer->adds_dx = adds_dx;
  assert_ok(dfm_net_add_param(net, f->layer, 0, "weight", n_out, n_in, DFM_PART_DNN, &param, &error));
  assert_ok(dfm_net_add_param(net, f->layer, 1, "bias", n_out, 0, DFM_PART_FREE, &param, &error));
}

static void set_up(fixture *f, const dfm_kernel *kernel, const dfm_tiles *tiles, int capacity, int n_in, int n_out,
                   bool adds_dx) {
  dfm_error error;
  uint64_t seed = (uint64_t)(capacity * 7 + n_in);
  memset(f, 0, sizeof *f);
  add_layer(f, n_in, n_out, adds_dx);
  f->capacity = capacity;
  f->tiles = tiles;
  dfm_pass *pass = &f->pass;
  *pass = (dfm_pass){
      .net = &f->net, .kernel = kernel, .is_train = true, .block = dfm_dense_block(capacity, parts_of(tiles))};
  const size_t rows = (size_t)((capacity + pass->block - 1) / pass->block * pass->block);
  const size_t edges = rows * (size_t)(n_in + BESIDE + n_out);
  f->memory_bytes = (2 * f->net.n_weights + 2 * edges) * sizeof(float);
  assert_ok(dfm_pages_alloc(&f->memory, f->memory_bytes, &error));
  pass->weight = f->memory;
  pass->dweight = pass->weight + f->net.n_weights;
  pass->value[IN] = pass->dweight + f->net.n_weights;
  pass->value[OUT] = pass->value[IN] + rows * (size_t)(n_in + BESIDE);
  pass->dvalue[IN] = pass->value[OUT] + rows * (size_t)n_out;
  pass->dvalue[OUT] = pass->dvalue[IN] + rows * (size_t)(n_in + BESIDE);
  for (size_t i = 0; i < f->net.n_weights; i++) pass->weight[i] = random_float(&seed) / sqrtf((float)n_in);
  assert_ok(dfm_pool_create(2, &f->pool, &error));
  const dfm_dense_settings settings = {&f->net, kernel, pass->block, capacity, 2, tiles};
  assert_ok(dfm_dense_create(&settings, &pass->dense, &error));
}

static void tear_down(fixture *f) {
  dfm_dense_free(f->pass.dense);
  dfm_pool_free(f->pool);
  dfm_pages_free(f->memory, f->memory_bytes);
}

static void block_task(void *context, int block, int thread) {
  const fixture *f = context;
  dfm_pass pass = f->pass;
  const int b0 = f->first + block * pass.block, b1 = b0 + pass.block < pass.B ? b0 + pass.block : pass.B;
  (void)thread;
  pass.room = b0;
  f->layer->kind->forward(f->layer, &pass, b0, b1);
  f->layer->kind->backward(f->layer, &pass, b0, b1);
}

static void gradient_task(void *context, int task, int thread) {
  const fixture *f = context;
  dfm_span span[2];
  (void)thread;
  assert_int_equal(f->layer->kind->gradient(f->layer, &f->pass, task, span), 2);
}

/* Every row of the edges of the batch, with what dx is added to; what lies behind the batch is what no sum may
 * contain. */
static void fill(fixture *f, int B, float **dx, float **dy) {
  const size_t in = (size_t)f->net.edge_n[IN], out = (size_t)f->net.edge_n[OUT];
  uint64_t seed = (uint64_t)B;
  dfm_pass *pass = &f->pass;
  pass->B = B;
  for (size_t i = 0; i < (size_t)f->capacity * in; i++) {
    pass->value[IN][i] = i < (size_t)B * in ? random_float(&seed) : NAN;
    pass->dvalue[IN][i] = random_float(&seed);
  }
  for (size_t i = 0; i < (size_t)f->capacity * out; i++)
    pass->dvalue[OUT][i] = i < (size_t)B * out ? random_float(&seed) / (float)B : NAN;
  *dx = calloc((size_t)B * in + 1, sizeof **dx);
  *dy = calloc((size_t)B * out + 1, sizeof **dy);
  memcpy(*dx, pass->dvalue[IN], (size_t)B * in * sizeof **dx);
  memcpy(*dy, pass->dvalue[OUT], (size_t)B * out * sizeof **dy);
}

static void check_y(const fixture *f) {
  const dfm_pass *pass = &f->pass;
  const dfm_layer *layer = f->layer;
  const float *w = dfm_weight(pass, layer, 0), *bias = dfm_weight(pass, layer, 1);
  for (int b = 0; b < pass->B; b++)
    for (int h = 0; h < layer->n_out; h++) {
      double z = (double)bias[h];
      for (int i = 0; i < layer->n_in; i++)
        z += operand(f, w[h * layer->n_in + i]) * operand(f, *dfm_value(pass, IN, b, layer->from + i));
      assert_near(*dfm_value(pass, OUT, b, h), tanh(z), 2e-6);
    }
}

/* dz is what backward leaves in the output's gradient, in float32. */
static void check_dx(const fixture *f, const float *dx_before, const float *dy) {
  const dfm_pass *pass = &f->pass;
  const dfm_layer *layer = f->layer;
  const float *w = dfm_weight(pass, layer, 0);
  const int ld = f->net.edge_n[IN];
  for (int b = 0; b < pass->B; b++) {
    for (int h = 0; h < layer->n_out; h++) {
      const double y = (double)*dfm_value(pass, OUT, b, h);
      assert_near(*dfm_dvalue(pass, OUT, b, h), (double)dy[b * layer->n_out + h] * (1 - y * y), 1e-6);
    }
    for (int c = 0; c < ld; c++) {
      const int i = c - layer->from;
      double dx = (double)dx_before[b * ld + c];
      if (i >= 0 && i < layer->n_in) {
        if (!layer->adds_dx) dx = 0;
        for (int h = 0; h < layer->n_out; h++)
          dx += operand(f, *dfm_dvalue(pass, OUT, b, h)) * operand(f, w[h * layer->n_in + i]);
      }
      assert_near(*dfm_dvalue(pass, IN, b, c), dx, 2e-6);
    }
  }
}

static void check_dw(const fixture *f) {
  const dfm_pass *pass = &f->pass;
  const dfm_layer *layer = f->layer;
  const float *dw = dfm_dweight(pass, layer, 0), *db = dfm_dweight(pass, layer, 1);
  for (int h = 0; h < layer->n_out; h++) {
    double bias = 0;
    for (int b = 0; b < pass->B; b++) bias += (double)*dfm_dvalue(pass, OUT, b, h);
    assert_near(db[h], bias, 2e-6);
    for (int i = 0; i < layer->n_in; i++) {
      double sum = 0;
      for (int b = 0; b < pass->B; b++)
        sum += operand(f, *dfm_dvalue(pass, OUT, b, h)) * operand(f, *dfm_value(pass, IN, b, layer->from + i));
      assert_near(dw[h * layer->n_in + i], sum, 2e-6);
    }
  }
}

static void accumulate_task(void *context, int task, int thread) {
  const fixture *f = context;
  (void)thread;
  dfm_dense_accumulate(f->layer, &f->pass, task, f->first);
}

/* Blocks and, between pieces, gradients, as the executor has them. */
static void run_pieces(fixture *f, dfm_task_fn block, int n_layers) {
  const dfm_pass *pass = &f->pass;
  const int piece = dfm_dense_piece(pass->dense) > 0 ? dfm_dense_piece(pass->dense) : pass->B;
  for (f->first = 0; f->first < pass->B; f->first += piece) {
    const int left = pass->B - f->first, rows = left < piece ? left : piece;
    dfm_pool_run(f->pool, (rows + pass->block - 1) / pass->block, block, f);
    for (int i = 0; i < n_layers && left > piece; i++) {
      f->layer = &f->net.layer[i];
      dfm_pool_run(f->pool, f->layer->kind->tasks(f->layer), accumulate_task, f);
    }
  }
}

static void run_tasks(fixture *f) {
  memset(f->pass.dweight, 0xff, f->net.n_weights * sizeof(float)); /* NaN: all of it must be set */
  dfm_dense_begin(f->pass.dense, f->pass.weight, f->pool);
  run_pieces(f, block_task, 1);
  dfm_pool_run(f->pool, f->layer->kind->tasks(f->layer), gradient_task, f);
}

/* A whole batch of NaN, in x alone or in dy alone: a shorter one after it must see none of them. */
static void run_nan(fixture *f, int edge) {
  float *dx, *dy;
  fill(f, f->capacity, &dx, &dy);
  float *at = edge == IN ? f->pass.value[IN] : f->pass.dvalue[OUT];
  for (size_t i = 0; i < (size_t)f->capacity * (size_t)f->net.edge_n[edge]; i++) at[i] = NAN;
  run_tasks(f);
  free(dx);
  free(dy);
}

static void run_batch(fixture *f, int B) {
  float *dx, *dy;
  fill(f, B, &dx, &dy);
  run_tasks(f);
  check_y(f);
  check_dx(f, dx, dy);
  check_dw(f);
  free(dx);
  free(dy);
}

/* Batches of one block and of several, of one chunk of dW and of two, with a part left; layers of one task and of
 * two, and odd ones. */
static void test_against_doubles(void **state) {
  static const struct {
    int capacity, n_in, n_out;
  } cases[] = {{1, 1, 1}, {40, 7, 5}, {256, 33, 64}, {300, 40, 17}, {700, 13, 9}, {64, 20, 150}, {96, 5, 257}};
  const dfm_kernel *kernel;
  (void)state;
  for (size_t k = 0; (kernel = dfm_kernel_at(k)) != NULL; k++)
    for (size_t c = 0; c < WAYS * (sizeof cases / sizeof *cases); c++) {
      fixture f;
      const size_t i = c / WAYS;
      set_up(&f, kernel, tiles_of(kernel, c % WAYS), cases[i].capacity, cases[i].n_in, cases[i].n_out, i % 2);
      run_batch(&f, cases[i].capacity);
      run_nan(&f, IN);
      run_batch(&f, cases[i].capacity * 2 / 3 + 1 - cases[i].capacity / 40 % 2);
      run_nan(&f, OUT);
      run_batch(&f, 1);
      run_batch(&f, cases[i].capacity);
      tear_down(&f);
    }
  if (!dfm_kernel_has_bf16(dfm_kernel_at(0))) printf("not run: tiles by instructions, which this CPU lacks\n");
}

/* ---- layers that feed each other */

enum { LAYERS = 3, UNITS = DFM_EDGES_FIXED };

/* Small whole numbers, all of whose sums are exact in bfloat16 and float32: so whichever way is taken, the bits are
 * the same. */
static float small(uint64_t *seed, int one_in) {
  *seed = *seed * 6364136223846793005u + 1442695040888963407u;
  const uint32_t draw = (uint32_t)(*seed >> 33);
  return draw % (uint32_t)one_in ? 0 : draw / (uint32_t)one_in % 2 ? 1 : -1;
}

/* relu layers of 40, 70 and 33 units on top of each other, of which the first two feed the next. */
static void set_up_stack(fixture *f, const dfm_kernel *kernel, int capacity, const dfm_tiles *tiles) {
  static const int units[LAYERS] = {40, 70, 33};
  uint64_t seed = 5;
  dfm_param *param;
  dfm_error error;
  memset(f, 0, sizeof *f);
  f->capacity = capacity;
  f->net.n_edges = UNITS;
  f->net.edge_n[IN] = 37;
  for (int i = 0; i < LAYERS; i++) {
    const int out = dfm_net_add_edge(&f->net, units[i], &error);
    dfm_layer *layer = dfm_net_add_layer(&f->net, &dfm_layer_dense, "dense", &error);
    layer->in = i == 0 ? IN : out - 1;
    layer->out = out;
    layer->n_in = f->net.edge_n[layer->in];
    layer->n_out = units[i];
    layer->activation = DFM_RELU;
    assert_ok(dfm_net_add_param(&f->net, layer, 0, "weight", units[i], layer->n_in, DFM_PART_DNN, &param, &error));
    assert_ok(dfm_net_add_param(&f->net, layer, 1, "bias", units[i], 0, DFM_PART_FREE, &param, &error));
  }
  dfm_pass *pass = &f->pass;
  *pass = (dfm_pass){
      .net = &f->net, .kernel = kernel, .is_train = true, .block = dfm_dense_block(capacity, parts_of(tiles))};
  size_t floats = 2 * f->net.n_weights;
  const size_t rows = (size_t)(capacity + 512);
  for (int edge = 0; edge < f->net.n_edges; edge++) floats += 2 * rows * (size_t)f->net.edge_n[edge];
  f->memory_bytes = floats * sizeof(float);
  assert_ok(dfm_pages_alloc(&f->memory, f->memory_bytes, &error));
  pass->weight = f->memory;
  pass->dweight = pass->weight + f->net.n_weights;
  float *at = pass->dweight + f->net.n_weights;
  for (int edge = 0; edge < f->net.n_edges; edge++) {
    const size_t n = rows * (size_t)f->net.edge_n[edge];
    pass->value[edge] = at;
    pass->dvalue[edge] = at + n;
    at += 2 * n;
  }
  for (size_t i = 0; i < f->net.n_weights; i++) pass->weight[i] = small(&seed, 8);
  assert_ok(dfm_pool_create(2, &f->pool, &error));
  const dfm_dense_settings settings = {&f->net, kernel, pass->block, capacity, 2, tiles};
  assert_ok(dfm_dense_create(&settings, &pass->dense, &error));
}

static void stack_task(void *context, int block, int thread) {
  const fixture *f = context;
  dfm_pass pass = f->pass;
  const int b0 = f->first + block * pass.block, b1 = b0 + pass.block < pass.B ? b0 + pass.block : pass.B;
  pass.room = f->capacity > pass.block ? thread * pass.block : b0; /* as the executor does where there is room */
  for (int i = 0; i < LAYERS; i++) dfm_layer_dense.forward(&f->net.layer[i], &pass, b0, b1);
  for (int i = LAYERS; i-- > 0;) dfm_layer_dense.backward(&f->net.layer[i], &pass, b0, b1);
}

static void run_stack(fixture *f, int B) {
  dfm_pass *pass = &f->pass;
  const size_t out = (size_t)f->net.edge_n[UNITS + LAYERS - 1];
  uint64_t seed = (uint64_t)B;
  pass->B = B;
  for (size_t i = 0; i < (size_t)B * (size_t)f->net.edge_n[IN]; i++) pass->value[IN][i] = small(&seed, 4);
  for (size_t i = 0; i < (size_t)B * out; i++) pass->dvalue[UNITS + LAYERS - 1][i] = small(&seed, 4);
  memset(pass->dweight, 0xff, f->net.n_weights * sizeof(float));
  dfm_dense_begin(pass->dense, pass->weight, f->pool);
  run_pieces(f, stack_task, LAYERS);
  for (f->layer = f->net.layer; f->layer < f->net.layer + LAYERS; f->layer++)
    dfm_pool_run(f->pool, f->layer->kind->tasks(f->layer), gradient_task, f);
}

/* In tiles, where no float32 is between the layers, against float32, where all is: y, dx and all gradients. */
static void check_stack(const dfm_kernel *kernel, const dfm_tiles *tiles, int capacity) {
  fixture plain, f;
  set_up_stack(&plain, kernel, capacity, NULL);
  set_up_stack(&f, kernel, capacity, tiles);
  for (int i = 0; i < LAYERS; i++) assert_int_equal(dfm_dense_feeds(f.pass.dense, &f.net.layer[i]), i < LAYERS - 1);
  const int batches[] = {capacity, capacity / 2 + 1, 1, capacity};
  for (int i = 0; i < 4; i++) {
    const size_t in = (size_t)batches[i] * (size_t)f.net.edge_n[IN], last = UNITS + LAYERS - 1;
    run_stack(&plain, batches[i]);
    run_stack(&f, batches[i]);
    for (size_t j = 0; j < (size_t)batches[i] * (size_t)f.net.edge_n[last]; j++)
      if (f.pass.value[last][j] != plain.pass.value[last][j])
        fail_msg("%s, %d of %d rows: y[%zu] = %g, expected %g", kernel->name, batches[i], capacity, j,
                 (double)f.pass.value[last][j], (double)plain.pass.value[last][j]);
    for (size_t j = 0; j < in; j++) assert_true(f.pass.dvalue[IN][j] == plain.pass.dvalue[IN][j]);
    for (size_t j = 0; j < f.net.n_weights; j++) assert_true(f.pass.dweight[j] == plain.pass.dweight[j]);
  }
  tear_down(&f);
  tear_down(&plain);
}

static void test_stack(void **state) {
  static const int capacities[] = {1, 31, 64, 300, 700, 1300, 2600};
  const dfm_kernel *kernel;
  (void)state;
  for (size_t k = 0; (kernel = dfm_kernel_at(k)) != NULL; k++)
    for (size_t way = 0; way < WAYS; way++) {
      const dfm_tiles *tiles = tiles_of(kernel, way);
      for (size_t i = 0; tiles && i < sizeof capacities / sizeof *capacities; i++)
        check_stack(kernel, tiles, capacities[i]);
    }
}

/* Tasks tile the layer's outputs without a gap, whatever their number. */
static void test_tasks_cover(void **state) {
  dfm_layer layer = {.kind = &dfm_layer_dense};
  (void)state;
  for (layer.n_out = 1; layer.n_out < 5000; layer.n_out++) {
    int end = 0;
    for (int task = 0; task < dfm_layer_dense.tasks(&layer); task++) {
      int h0, h1;
      dfm_dense_task(&layer, task, &h0, &h1);
      if (h0 != end || h1 <= h0 || h1 - h0 > DFM_DENSE_TASK_ROWS) fail_msg("%d units: [%d, %d)", layer.n_out, h0, h1);
      end = h1;
    }
    assert_int_equal(end, layer.n_out);
  }
}

int main(int argc, char **argv) {
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_against_doubles),
      cmocka_unit_test(test_stack),
      cmocka_unit_test(test_tasks_cover),
  };
  return test_main(argc, argv, "dense", tests, sizeof tests / sizeof *tests);
}
