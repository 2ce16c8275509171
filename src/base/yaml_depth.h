/* YAML depth: a text from outside comes in; whether its nesting is within reason goes out. */
#ifndef DFM_BASE_YAML_DEPTH_H
#define DFM_BASE_YAML_DEPTH_H

#include "base/error.h"

/* Schemas and recipes nest four deep. libyaml's time and stack grow faster than the depth, so what nests deeper than 32
 * is refused before it is parsed as a whole. What is no YAML at all passes: who parses it says so. */
dfm_status dfm_yaml_check_depth(const unsigned char *bytes, size_t n, const char *name, dfm_error *error);

#endif
