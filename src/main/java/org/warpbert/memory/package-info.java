/** Memory as a table: what sizes an allocation is what the code reads its addresses from. */
package org.warpbert.memory;
