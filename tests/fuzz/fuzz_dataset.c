/* The scanner on any bytes in any chunks: no crash, no read beyond a chunk, one result whatever the
 * chunks are. The first byte picks the transfer syntax, the second one the chunk size.
 */
#include "aurabridge/dataset.h"
#include "aurabridge/part10.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct dataset_scanner *scan(uint8_t selector, size_t chunk, const uint8_t *data,
                                    size_t size, struct dataset_result *result)
{
    static const char *const transfer_syntaxes[] = {"1.2.840.10008.1.2", "1.2.840.10008.1.2.1",
                                                    "1.2.840.10008.1.2.2",
                                                    "1.2.840.10008.1.2.1.99"};
    struct dataset_scanner *scanner;
    if (dataset_scanner_new(&scanner, transfer_syntaxes[selector % 4],
                            selector & 4 ? "ISO_IR 144" : NULL, NULL) != 0)
        abort();
    if (selector & 8 && dataset_scanner_want(scanner, 0x00101060) != 0)
        abort();
    while (size > 0) {
        size_t n = chunk < size ? chunk : size;
        uint8_t *exact = malloc(n); /* so that the sanitizer sees its borders */
        if (!exact)
            abort();
        memcpy(exact, data, n);
        dataset_scanner_feed(scanner, exact, n);
        free(exact);
        data += n;
        size -= n;
    }
    dataset_scanner_finish(scanner, result);
    return scanner;
}

static void check_header(const uint8_t *data, size_t size)
{
    struct part10_header header;
    if (part10_read_header(&header, data, size, NULL) == 0 && header.data_set_offset > size)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    check_header(data, size);
    struct dataset_result whole;
    struct dataset_result pieces;
    size_t chunk = data[1] % 32U + 1U;
    struct dataset_scanner *first = scan(data[0], size, data + 2, size - 2, &whole);
    struct dataset_scanner *second = scan(data[0], chunk, data + 2, size - 2, &pieces);
    if (whole.ending != pieces.ending || whole.tag != pieces.tag ||
        whole.missing != pieces.missing || whole.offset != pieces.offset)
        abort();
    if (memcmp(dataset_scanner_attributes(first), dataset_scanner_attributes(second),
               sizeof(struct attributes)) != 0)
        abort();
    dataset_scanner_free(first);
    dataset_scanner_free(second);
    return 0;
}
