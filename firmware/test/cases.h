/* The groups of cases; each runs all of its own. */
#ifndef CASES_H
#define CASES_H

void ring_cases(void);
void text_cases(void);
void word_cases(void);
void random_cases(void);
void net_cases(void);
void device_cases(void);
void fuzz_cases(void);

#endif
