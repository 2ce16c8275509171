/* YAML depth: the events of a text are counted, opening and closing; the first that opens too deep ends it. */
#include "base/yaml_depth.h"

#include <yaml.h>

enum { DFM_YAML_DEPTH = 32 };

static int depth_change(yaml_event_type_t type) {
  if (type == YAML_SEQUENCE_START_EVENT || type == YAML_MAPPING_START_EVENT) return 1;
  return type == YAML_SEQUENCE_END_EVENT || type == YAML_MAPPING_END_EVENT ? -1 : 0;
}

dfm_status dfm_yaml_check_depth(const unsigned char *bytes, size_t n, const char *name, dfm_error *error) {
  yaml_parser_t parser;
  yaml_event_t event;
  dfm_status status = DFM_OK;
  bool is_end = false;
  if (!yaml_parser_initialize(&parser)) return dfm_fail(error, DFM_ERROR_MEMORY, "%s: no memory to parse it", name);
  yaml_parser_set_input_string(&parser, bytes, n);
  for (int depth = 0; status == DFM_OK && !is_end && yaml_parser_parse(&parser, &event); yaml_event_delete(&event)) {
    depth += depth_change(event.type);
    is_end = event.type == YAML_STREAM_END_EVENT;
    if (depth <= DFM_YAML_DEPTH) continue;
    status = dfm_fail_at(error, DFM_ERROR_FORMAT, name, (long long)event.start_mark.line + 1,
                         (long long)event.start_mark.column + 1,
                         "nested deeper than %d levels; settings nest four deep", DFM_YAML_DEPTH);
  }
  yaml_parser_delete(&parser);
  return status;
}
