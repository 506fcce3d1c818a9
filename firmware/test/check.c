#include "check.h"

#include <stdio.h>
#include <string.h>

static int cases, checks, failures;

static void fail(const char *file, int line) {
    failures++;
    printf("  FAILED %s:%d: ", file, line);
}

void check_run(void (*function)(void), const char *name) {
    cases++;
    printf("%s\n", name);
    function();
}

void check_true(bool condition, const char *what, const char *file, int line) {
    checks++;
    if (!condition) {
        fail(file, line);
        printf("%s\n", what);
    }
}

void check_number(long long got, long long wanted, const char *what, const char *file, int line) {
    checks++;
    if (got != wanted) {
        fail(file, line);
        printf("%s is %lld, wanted %lld\n", what, got, wanted);
    }
}

void check_text(const char *got, const char *wanted, const char *what, const char *file, int line) {
    checks++;
    if (strcmp(got, wanted) != 0) {
        fail(file, line);
        printf("%s is \"%s\", wanted \"%s\"\n", what, got, wanted);
    }
}

int check_report(void) {
    printf("%d cases, %d checks, %d failures\n", cases, checks, failures);
    return failures == 0 && checks > 0 ? 0 : 1;
}
