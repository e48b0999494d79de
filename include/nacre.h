/* nacre in C: open a trained model and run it.
 *
 *   nacre_model* model;
 *   if (nacre_open("digits.safetensors", &model)) return fail(nacre_error_text());
 *   nacre_class best[3];
 *   size_t found;
 *   nacre_predict_picture(model, bytes, size, best, 3, &found);
 *   printf("%s %.1f %%\n", best[0].label, 100 * best[0].probability);
 *   nacre_close(model);
 *
 * Every function that can fail returns nacre_ok (0) or what went wrong; nacre_error_text() then is
 * one sentence. Nothing throws, aborts or prints. A model may be used by any number of threads at
 * the same time; nacre_close waits for none of them. */
#ifndef NACRE_H
#define NACRE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The values do not change between versions. */
typedef enum nacre_status {
  nacre_ok = 0,
  nacre_usage = 1,       /**< an argument that cannot be meant */
  nacre_shape = 2,       /**< number, types or shapes of tensors do not fit the model */
  nacre_data = 3,        /**< a file, picture or row is not what it should be */
  nacre_io = 4,          /**< reading failed */
  nacre_memory = 5,      /**< no memory, or a limit forbids it */
  nacre_numeric = 6,     /**< NaN or infinity where it may not be */
  nacre_unsupported = 7, /**< valid, but not implemented */
  nacre_internal = 8     /**< a bug in nacre */
} nacre_status;

typedef enum nacre_type {
  nacre_f32 = 0,
  nacre_f64 = 1,
  nacre_bf16 = 2,
  nacre_f16 = 3,
  nacre_i8 = 4,
  nacre_u8 = 5,
  nacre_i32 = 6,
  nacre_i64 = 7,
  nacre_bool = 8 /**< one byte, 0 or 1 */
} nacre_type;

#define NACRE_MAX_RANK 8

typedef struct nacre_model nacre_model;

/** What went wrong last on this thread; "" if nothing has. Valid until the next call. */
const char* nacre_error_text(void);
/** "0.1.0". */
const char* nacre_version(void);

/** Opens what the program opens: nacre's model files, ONNX, and networks of other frameworks.
 *  Nothing in a file is executed. */
nacre_status nacre_open(const char* path, nacre_model** model);
/** Null is allowed. */
void nacre_close(nacre_model* model);

/** An input or output. A size of -1 is chosen by the call; the first one is the batch. */
typedef struct nacre_port {
  const char* name; /**< lives as long as the model */
  nacre_type type;
  int rank;
  int64_t shape[NACRE_MAX_RANK];
} nacre_port;
size_t nacre_input_count(const nacre_model* model);
size_t nacre_output_count(const nacre_model* model);
nacre_status nacre_input(const nacre_model* model, size_t number, nacre_port* port);
nacre_status nacre_output(const nacre_model* model, size_t number, nacre_port* port);

/** Names of the classes; none if the model gives values. They live as long as the model. */
size_t nacre_class_count(const nacre_model* model);
const char* nacre_class_name(const nacre_model* model, size_t number);

/** A tensor, row-major and without gaps. */
typedef struct nacre_tensor {
  nacre_type type;
  int rank;
  int64_t shape[NACRE_MAX_RANK];
  const void* data;
  void* owner; /**< of tensors from nacre_run: what nacre_release gives back */
} nacre_tensor;

/** Runs the model on tensors in the order of its inputs. `inputs` are only read, and their `owner`
 *  is not looked at. All outputs, of which there must be `output_count`, are to be given to
 *  nacre_release; on an error there is nothing to release. */
nacre_status nacre_run(const nacre_model* model, const nacre_tensor* inputs, size_t input_count,
                       nacre_tensor* outputs, size_t output_count);
/** Frees an output and makes it empty. */
void nacre_release(nacre_tensor* output);

typedef struct nacre_class {
  const char* label; /**< lives as long as the model */
  double probability;
} nacre_class;

/** The classes of a picture file (PNG, JPEG, WebP, BMP, PPM) or, of a model that was trained on
 *  clips, of a WAV file; best first: at most `most` of them, and their number. nacre_usage if the
 * model gives values. */
nacre_status nacre_predict_picture(const nacre_model* model, const void* bytes, size_t size,
                                   nacre_class* classes, size_t most, size_t* found);
/** The same for a row of a table: cells in the order of the training columns without the target,
 *  empty ones missing. */
nacre_status nacre_predict_row(const nacre_model* model, const char* const* cells, size_t count,
                               nacre_class* classes, size_t most, size_t* found);
/** What a model of values says of a row: at most `most` values, and their number. */
nacre_status nacre_predict_row_values(const nacre_model* model, const char* const* cells,
                                      size_t count, float* values, size_t most, size_t* found);

#ifdef __cplusplus
}
#endif

#endif
