/* A CUnit program in a few lines: list the cases, call SUITE_MAIN. */
#ifndef AURABRIDGE_TESTS_SUITE_H
#define AURABRIDGE_TESTS_SUITE_H

#include <CUnit/Basic.h>
#include <stdlib.h>

#define SUITE_CASE(function)                                                                       \
    {                                                                                              \
#function, function                                                                        \
    }

static inline int suite_run(const char *name, CU_TestInfo *cases)
{
    char suite_name[128];
    (void)snprintf(suite_name, sizeof suite_name, "%s", name);
    CU_SuiteInfo suites[] = {{suite_name, NULL, NULL, NULL, NULL, cases}, CU_SUITE_INFO_NULL};
    if (CU_initialize_registry() != CUE_SUCCESS || CU_register_suites(suites) != CUE_SUCCESS)
        return EXIT_FAILURE;
    CU_basic_set_mode(CU_BRM_VERBOSE);
    CU_ErrorCode ran = CU_basic_run_tests();
    unsigned failures = CU_get_number_of_failures();
    unsigned run = CU_get_number_of_tests_run();
    CU_cleanup_registry();
    return ran == CUE_SUCCESS && failures == 0 && run > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* cases: an array of SUITE_CASE(...) ended by CU_TEST_INFO_NULL. */
#define SUITE_MAIN(name, cases)                                                                    \
    int main(void)                                                                                 \
    {                                                                                              \
        return suite_run(name, cases);                                                             \
    }

#endif
