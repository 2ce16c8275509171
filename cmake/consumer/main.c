/* A program of somebody else's: nothing comes in, the version of the library it was linked with goes out. It also calls into the library far
 * enough that a static link needs the libraries underneath. */
#include <deepfm.h>
#include <stdio.h>
#include <string.h>

int main(void) {
  dfm_error error;
  dfm_schema *schema;
  if (dfm_schema_load("/does/not/exist.yaml", &schema, &error) != DFM_ERROR_IO) return 1;
  puts(dfm_version());
  return strcmp(dfm_version(), DFM_VERSION) != 0;
}
