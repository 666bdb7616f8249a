/* Writes docs/CONFIGURATION.md: `cmake --build BUILD --target configuration_documentation`. */
#include "aurabridge/config.h"

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    if (argc != 2) {
        (void)fprintf(stderr, "usage: write_configuration_documentation FILE\n");
        return EXIT_FAILURE;
    }
    FILE *file = fopen(argv[1], "we");
    if (!file) {
        perror(argv[1]);
        return EXIT_FAILURE;
    }
    int result = config_write_documentation(file);
    if (fclose(file) != 0 || result != 0) {
        (void)fprintf(stderr, "%s could not be written\n", argv[1]);
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
