/* Says what is on a picture, with a model file, in C.
 *
 *   nacre train lenet5 --data data/digits --out runs/digits
 *   build/examples/classify runs/digits/model.safetensors picture.png */
#include <stdio.h>
#include <stdlib.h>

#include "nacre.h"

static int failed(const char* what) {
  fprintf(stderr, "classify: %s: %s\n", what, nacre_error_text());
  return 1;
}

/* The contents of a file; null if it cannot be read. */
static unsigned char* contents(const char* path, size_t* size) {
  FILE* file = fopen(path, "rb");
  unsigned char* bytes = NULL;
  long length;
  if (!file) return NULL;
  if (fseek(file, 0, SEEK_END) == 0 && (length = ftell(file)) > 0 &&
      fseek(file, 0, SEEK_SET) == 0) {
    *size = (size_t)length;
    bytes = malloc(*size);
    if (bytes && fread(bytes, 1, *size, file) != *size) {
      free(bytes);
      bytes = NULL;
    }
  }
  fclose(file);
  return bytes;
}

int main(int argc, char** argv) {
  nacre_model* model;
  nacre_class best[3];
  size_t found, size, i;
  unsigned char* bytes;
  nacre_status status;
  if (argc != 3) {
    fprintf(stderr, "usage: classify MODEL PICTURE\n");
    return 2;
  }
  if (nacre_open(argv[1], &model) != nacre_ok) return failed(argv[1]);
  bytes = contents(argv[2], &size);
  if (!bytes) {
    fprintf(stderr, "classify: cannot read %s\n", argv[2]);
    nacre_close(model);
    return 1;
  }
  status = nacre_predict_picture(model, bytes, size, best, 3, &found);
  if (status == nacre_ok)
    for (i = 0; i < found; ++i)
      printf("%-20s %5.1f %%\n", best[i].label, 100 * best[i].probability);
  else
    failed(argv[2]);
  free(bytes);
  nacre_close(model);
  return status != nacre_ok;
}
