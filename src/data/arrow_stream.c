/* Arrow streams: batches are pulled one by one; what a first look has pulled is handed out again. */
#include "data/arrow_stream.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

struct dfm_arrow_stream {
  struct ArrowArrayStream from;
  struct ArrowSchema schema;
  char *name;
  struct ArrowArray *kept; /* [n_given, n_kept) were looked at and not yet taken */
  size_t n_kept, n_given, capacity;
  bool is_taken, is_at_end;
};

/* ---- opening */

static dfm_status fail_call(dfm_arrow_stream *stream, const char *what, int code, dfm_error *error) {
  char shown[DFM_SHOW_BYTES];
  const char *why = stream->from.get_last_error ? stream->from.get_last_error(&stream->from) : NULL;
  if (!why) why = strerror(code);
  return dfm_fail(error, DFM_ERROR_IO, "%s: the arrow stream failed to give its %s (%s); see to who produces it",
                  stream->name, what, dfm_show(shown, why, strlen(why)));
}

static dfm_status fail_schema(const dfm_arrow_stream *stream, dfm_error *error) {
  return dfm_fail(error, DFM_ERROR_FORMAT,
                  "%s: the arrow schema is not that of record batches with columns; export a table or its batches",
                  stream->name);
}

static bool is_table(const struct ArrowSchema *schema) {
  if (!schema->format || strcmp(schema->format, "+s") != 0 || schema->n_children < 1 || !schema->children) return false;
  for (int64_t i = 0; i < schema->n_children; i++)
    if (!schema->children[i] || !schema->children[i]->format) return false;
  return true;
}

static dfm_status open_stream(dfm_arrow_stream *stream, const char *name, dfm_error *error) {
  DFM_TRY(dfm_copy_text(&stream->name, name ? name : "arrow", error));
  if (!stream->from.release || !stream->from.get_schema || !stream->from.get_next)
    return dfm_fail(error, DFM_ERROR_VALUE, "%s: the arrow stream was released already; export it anew", stream->name);
  const int code = stream->from.get_schema(&stream->from, &stream->schema);
  if (code != 0) {
    stream->schema.release = NULL; /* what a call that failed leaves there means nothing */
    return fail_call(stream, "schema", code, error);
  }
  return stream->schema.release && is_table(&stream->schema) ? DFM_OK : fail_schema(stream, error);
}

dfm_status dfm_arrow_stream_open(struct ArrowArrayStream *from, const char *name, dfm_arrow_stream **stream,
                                 dfm_error *error) {
  dfm_arrow_stream *made;
  const dfm_status status = dfm_alloc(&made, 1, sizeof *made, error);
  if (status != DFM_OK) {
    if (from->release) from->release(from);
    return status;
  }
  made->from = *from;
  from->release = NULL;
  const dfm_status opened = open_stream(made, name, error);
  if (opened != DFM_OK) {
    dfm_arrow_stream_close(made);
    return opened;
  }
  *stream = made;
  return DFM_OK;
}

void dfm_arrow_stream_close(dfm_arrow_stream *stream) {
  if (!stream) return;
  for (size_t i = stream->n_given; i < stream->n_kept; i++) stream->kept[i].release(&stream->kept[i]);
  if (stream->schema.release) stream->schema.release(&stream->schema);
  if (stream->from.release) stream->from.release(&stream->from);
  free(stream->kept);
  free(stream->name);
  free(stream);
}

const char *dfm_arrow_stream_name(const dfm_arrow_stream *stream) {
  return stream->name;
}

size_t dfm_arrow_stream_columns(const dfm_arrow_stream *stream) {
  return (size_t)stream->schema.n_children;
}

const struct ArrowSchema *dfm_arrow_stream_column(const dfm_arrow_stream *stream, size_t i) {
  return stream->schema.children[i];
}

const char *dfm_arrow_stream_column_name(const dfm_arrow_stream *stream, size_t i) {
  const char *name = stream->schema.children[i]->name;
  return name ? name : "";
}

/* ---- batches */

/* What is wrong with a batch's own struct; NULL: nothing. Its columns are checked where they are used. */
static const char *find_fault(const dfm_arrow_stream *stream, const struct ArrowArray *batch) {
  if (batch->length < 0 || batch->offset < 0 || batch->offset > INT64_MAX - batch->length) return "a negative length";
  if (batch->n_children != stream->schema.n_children || !batch->children) return "another number of columns";
  for (int64_t i = 0; i < batch->n_children; i++)
    if (!batch->children[i]) return "a column that is NULL";
  if (batch->null_count == 0 || batch->n_buffers < 1 || !batch->buffers || !batch->buffers[0]) return NULL;
  const uint8_t *valid = batch->buffers[0];
  for (int64_t i = batch->offset; i < batch->offset + batch->length; i++)
    if (!(valid[i / 8] >> i % 8 & 1)) return "rows that are null as a whole";
  return NULL;
}

static dfm_status pull(dfm_arrow_stream *stream, struct ArrowArray *batch, dfm_error *error) {
  *batch = (struct ArrowArray){0};
  if (stream->is_at_end) return DFM_OK;
  const int code = stream->from.get_next(&stream->from, batch);
  if (code != 0) {
    batch->release = NULL;
    return fail_call(stream, "next batch", code, error);
  }
  stream->is_at_end = !batch->release;
  const char *fault = batch->release ? find_fault(stream, batch) : NULL;
  if (!fault) return DFM_OK;
  batch->release(batch);
  return dfm_fail(error, DFM_ERROR_FORMAT, "%s: an arrow batch has %s; see to who produces it", stream->name, fault);
}

bool dfm_arrow_stream_is_taken(const dfm_arrow_stream *stream) {
  return stream->is_taken;
}

dfm_status dfm_arrow_stream_next(dfm_arrow_stream *stream, struct ArrowArray *batch, dfm_error *error) {
  stream->is_taken = true;
  if (stream->n_given == stream->n_kept) return pull(stream, batch, error);
  *batch = stream->kept[stream->n_given++];
  return DFM_OK;
}

dfm_status dfm_arrow_stream_peek(dfm_arrow_stream *stream, size_t i, const struct ArrowArray **batch,
                                 dfm_error *error) {
  *batch = NULL;
  while (stream->n_kept <= i) {
    struct ArrowArray next;
    DFM_TRY(dfm_grow(&stream->kept, &stream->capacity, stream->n_kept + 1, sizeof *stream->kept, error));
    DFM_TRY(pull(stream, &next, error));
    if (!next.release) return DFM_OK;
    stream->kept[stream->n_kept++] = next;
  }
  *batch = &stream->kept[i];
  return DFM_OK;
}
