// Preloaded into a program to learn what its syncs cost: each returns at once, so nothing that it
// answers is on stable storage. For measuring only.
#include <unistd.h>

int fsync(int descriptor)
{
    (void)descriptor;
    return 0;
}

int fdatasync(int descriptor)
{
    (void)descriptor;
    return 0;
}

int syncfs(int descriptor)
{
    (void)descriptor;
    return 0;
}
