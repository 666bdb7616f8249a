/* The command line: one subcommand a file. Returns the process's exit status: 0 done, 1 failed, 2
 * wrong use.
 */
#ifndef AURABRIDGE_CLI_H
#define AURABRIDGE_CLI_H

int cli_run(int argc, char **argv);

#endif
