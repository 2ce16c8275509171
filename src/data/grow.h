/* Growing: a model's encoder, and new rows whose values are counted, come in; the vocabularies that the model goes on
 * with go out. Private to the dataset's own files. */
#ifndef DFM_DATA_GROW_H
#define DFM_DATA_GROW_H

#include "data/age.h"
#include "data/vocabulary.h"

/* An encoder with the fields, the fit of the numbers and the counts of the model's, whose vocabularies are empty: the
 * new rows are read with it. */
dfm_status dfm_growing_encoder(const dfm_growing *growing, dfm_encoder **encoder, dfm_error *error);

/* Ages (F) by provisional number of what the builders (F) have, over the view's rows, which are not settled yet; NULL
 * where nothing expires. dfm_ages_free them. */
dfm_status dfm_growing_ages(const dfm_growing *growing, const dfm_vocabulary_builder *builder, const dfm_dataset *train,
                            uint32_t ***ages, dfm_error *error);

/* dfm_vocabulary_settle for field f of `encoder`, whose vocabulary grows. In the order of ids: the values that stay, in
 * their order; then the admitted ones, in the order that the settings ask for, of which settings.max_vocabulary leaves
 * room for the most frequent. `age` is of the builder's values (NULL: nothing expires), `rows` how many rows train. */
dfm_status dfm_growing_settle(const dfm_growing *growing, int f, dfm_vocabulary_builder *builder, const uint32_t *age,
                              int64_t rows, const char *folder, dfm_encoder *encoder, uint32_t *place,
                              dfm_growth *growth, dfm_error *error);

#endif
