/* A test harness of one page: cases are functions, checks count and go on, the program fails if one did. */
#ifndef CHECK_H
#define CHECK_H

#include <stdbool.h>
#include <stdint.h>

#define CHECK(condition) check_true((condition), #condition, __FILE__, __LINE__)
#define CHECK_EQUAL(got, wanted) check_number((long long)(got), (long long)(wanted), #got, __FILE__, __LINE__)
#define CHECK_TEXT(got, wanted) check_text((got), (wanted), #got, __FILE__, __LINE__)

/* Runs a case and prints its name, which is a sentence. */
#define RUN(function) check_run((function), #function)

void check_run(void (*function)(void), const char *name);
void check_true(bool condition, const char *what, const char *file, int line);
void check_number(long long got, long long wanted, const char *what, const char *file, int line);
void check_text(const char *got, const char *wanted, const char *what, const char *file, int line);

/* Prints the totals; the exit status of the program. */
int check_report(void);

#endif
