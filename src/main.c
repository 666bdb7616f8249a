/* aurabridge: see src/cli for the commands. */
#include "aurabridge/cli.h"

int main(int argc, char **argv)
{
    return cli_run(argc, argv);
}
