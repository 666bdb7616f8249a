/* What a socket of ours is told. */
#include "socket.h"

#include "suite.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void test_the_larger_buffer(void)
{
    static const struct {
        uint64_t wmem_max, tcp_wmem;
        int wanted;
    } rows[] = {
        {212992, 4194304, 0},          /* as Debian has it: tuning goes ten times as far */
        {2097152, 4194304, 0},         /* the same: tuning is left on */
        {4194304, 4194304, 4194304},   /* counts twice */
        {67108864, 67108864, 0},       /* 32 MiB are asked for, and count twice */
        {67108864, 4194304, 33554432}, /* never more than that */
        {UINT64_MAX, 4194304, 33554432},
        {212992, 0, 212992},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        CU_ASSERT_EQUAL(socket_send_buffer(rows[i].wmem_max, rows[i].tcp_wmem), rows[i].wanted);
}

static bool has_bbr(void)
{
    char names[256] = "";
    FILE *file = fopen("/proc/sys/net/ipv4/tcp_allowed_congestion_control", "re");
    if (file) {
        if (!fgets(names, sizeof names, file))
            names[0] = '\0';
        (void)fclose(file);
    }
    return strstr(names, "bbr") != NULL;
}

static void test_options(void)
{
    char name[16] = "";
    int unsent = 0, buffer = 0, before = 0;
    socklen_t size = sizeof name, figure = sizeof unsent;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CU_ASSERT_FATAL(fd >= 0);
    CU_ASSERT_EQUAL(getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &before, &figure), 0);
    socket_learn();
    socket_tune(fd);
    CU_ASSERT_EQUAL(getsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, &figure), 0);
    CU_ASSERT_EQUAL(unsent, 128 << 10);
    CU_ASSERT_EQUAL(getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer, &figure), 0);
    CU_ASSERT(buffer >= before);
    CU_ASSERT_EQUAL(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &size), 0);
    if (has_bbr())
        CU_ASSERT_STRING_EQUAL(name, "bbr");
    CU_ASSERT(name[0] != '\0');
    CU_ASSERT_EQUAL(close(fd), 0);
    socket_tune(-1); /* a kernel that refuses everything */
}

static CU_TestInfo cases[] = {SUITE_CASE(test_the_larger_buffer), SUITE_CASE(test_options),
                              CU_TEST_INFO_NULL};
SUITE_MAIN("net: socket", cases)
