/* A PKCS#11 module for tests: the real one, with one call that fails.
 *
 * FAIL_MODULE is the real module, FAIL_CALL the index of a function in CK_FUNCTION_LIST (C_Initialize is 0), FAIL_AT the
 * number of its call that fails, from 1, FAIL_CODE what it answers. Everything else is the real module's doing.
 */
#include <dlfcn.h>
#include <stdlib.h>

typedef unsigned long word;
typedef word (*call)(word, word, word, word, word, word, word, word);

#define FUNCTIONS 68
struct list {
  unsigned char version[2];
  call functions[FUNCTIONS];
};

static struct list *real;
static struct list ours;

static word number(const char *name) {
  const char *text = getenv(name);
  return text ? strtoul(text, NULL, 0) : 0;
}

static word called(int index, word a, word b, word c, word d, word e, word f, word g, word h) {
  static word calls;
  if (index == (int)number("FAIL_CALL") && ++calls == number("FAIL_AT")) return number("FAIL_CODE");
  return real->functions[index](a, b, c, d, e, f, g, h);
}

#define CALL(n) static word call_##n(word a, word b, word c, word d, word e, word f, word g, word h) { return called(n, a, b, c, d, e, f, g, h); }
#define TEN(t) CALL(t##0) CALL(t##1) CALL(t##2) CALL(t##3) CALL(t##4) CALL(t##5) CALL(t##6) CALL(t##7) CALL(t##8) CALL(t##9)
CALL(0) CALL(1) CALL(2) CALL(3) CALL(4) CALL(5) CALL(6) CALL(7) CALL(8) CALL(9)
TEN(1) TEN(2) TEN(3) TEN(4) TEN(5)
CALL(60) CALL(61) CALL(62) CALL(63) CALL(64) CALL(65) CALL(66) CALL(67)

#define ROW(t) call_##t##0, call_##t##1, call_##t##2, call_##t##3, call_##t##4, call_##t##5, call_##t##6, call_##t##7, call_##t##8, call_##t##9
static const call calls[FUNCTIONS] = {
  call_0, call_1, call_2, call_3, call_4, call_5, call_6, call_7, call_8, call_9,
  ROW(1), ROW(2), ROW(3), ROW(4), ROW(5),
  call_60, call_61, call_62, call_63, call_64, call_65, call_66, call_67,
};

word C_GetFunctionList(struct list **out) {
  void *module = dlopen(getenv("FAIL_MODULE"), RTLD_NOW);
  word (*get)(struct list **) = module ? (word (*)(struct list **))dlsym(module, "C_GetFunctionList") : NULL;
  if (!get || get(&real) != 0) return 5;
  ours = *real;
  for (int index = 0; index < FUNCTIONS; index++) ours.functions[index] = calls[index];
  *out = &ours;
  return 0;
}
