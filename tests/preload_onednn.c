/* Fault injection: DFM_FAULT comes in through the environment; "execute:3": oneDNN's 3rd run of a primitive fails; "exit":
 * the first ends the process with status 99; "describe": oneDNN has no matrix multiply at all. */
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* oneDNN's own, without its header: this is built where there is none, too. Values of dnnl_status_t. */
enum { UNIMPLEMENTED = 3, RUNTIME_ERROR = 5 };
int dnnl_primitive_execute(const void *primitive, void *stream, int n, const void *args);
int dnnl_primitive_desc_create(void **out, const void *what, const void *attributes, void *engine, const void *hint);
int dnnl_matmul_primitive_desc_create(void **out, void *engine, const void *a, const void *b, const void *bias,
                                      const void *c, const void *attributes);

static atomic_long calls;

static const char *wanted(void) {
  const char *fault = getenv("DFM_FAULT");
  return fault ? fault : "";
}

int dnnl_primitive_execute(const void *primitive, void *stream, int n, const void *args) {
  static int (*next)(const void *, void *, int, const void *);
  if (!next) next = (int (*)(const void *, void *, int, const void *))dlsym(RTLD_NEXT, "dnnl_primitive_execute");
  if (strcmp(wanted(), "exit") == 0) _exit(99);
  const long nth = strncmp(wanted(), "execute:", 8) == 0 ? atol(wanted() + 8) : 0;
  return atomic_fetch_add(&calls, 1) + 1 == nth ? RUNTIME_ERROR : next(primitive, stream, n, args);
}

/* Version 2's way to a multiply. */
int dnnl_primitive_desc_create(void **out, const void *what, const void *attributes, void *engine, const void *hint) {
  int (*const next)(void **, const void *, const void *, void *, const void *) = (int (*)(
      void **, const void *, const void *, void *, const void *))dlsym(RTLD_NEXT, "dnnl_primitive_desc_create");
  return strcmp(wanted(), "describe") == 0 ? UNIMPLEMENTED : next(out, what, attributes, engine, hint);
}

/* Version 3's. */
int dnnl_matmul_primitive_desc_create(void **out, void *engine, const void *a, const void *b, const void *bias,
                                      const void *c, const void *attributes) {
  int (*const next)(void **, void *, const void *, const void *, const void *, const void *, const void *) =
      (int (*)(void **, void *, const void *, const void *, const void *, const void *, const void *))dlsym(
          RTLD_NEXT, "dnnl_matmul_primitive_desc_create");
  return strcmp(wanted(), "describe") == 0 ? UNIMPLEMENTED : next(out, engine, a, b, bias, c, attributes);
}
